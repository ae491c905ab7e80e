ssh-rsa BBB
