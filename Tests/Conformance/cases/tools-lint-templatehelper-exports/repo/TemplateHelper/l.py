__export__ = ('a',)
a = 1
