p1
