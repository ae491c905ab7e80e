ecdsa pub one
