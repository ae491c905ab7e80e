ssh-dss D2
