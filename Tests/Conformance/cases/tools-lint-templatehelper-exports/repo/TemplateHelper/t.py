__export__ = []
