__export__ = ['nosuch', '_priv', '__x', 'good', 'name']
def _priv(): pass
def good(): pass
def name(): pass
