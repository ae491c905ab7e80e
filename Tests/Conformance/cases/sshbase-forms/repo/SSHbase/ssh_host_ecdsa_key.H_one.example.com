ecdsa one
