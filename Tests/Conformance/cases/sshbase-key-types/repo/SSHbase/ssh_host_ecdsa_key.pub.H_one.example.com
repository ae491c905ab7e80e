ecdsa E one
