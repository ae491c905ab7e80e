ssh-rsa AAA root@one
