ssh-ed25519 X one
