ssh-ed25519 Y two
