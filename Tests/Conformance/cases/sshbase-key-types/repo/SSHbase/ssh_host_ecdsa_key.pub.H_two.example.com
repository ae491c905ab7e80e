ecdsa E2
