ssh-dss D one
