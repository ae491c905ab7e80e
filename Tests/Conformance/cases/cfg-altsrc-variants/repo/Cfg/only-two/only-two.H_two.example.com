two only
