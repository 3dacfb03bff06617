"""Measures of the catalogue at the size of the largest archives, against what others would use for the same. Read `__main__` first."""
