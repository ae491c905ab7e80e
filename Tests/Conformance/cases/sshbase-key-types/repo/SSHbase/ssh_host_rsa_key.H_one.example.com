PRIV one
