k1
