PRIV two
