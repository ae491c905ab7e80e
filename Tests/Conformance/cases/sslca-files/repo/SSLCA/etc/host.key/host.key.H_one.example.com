for one
