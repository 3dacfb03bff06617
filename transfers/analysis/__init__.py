"""Analysis jobs: graphs that people ask for, and the quick looks of published datasets. Read `graphs.py` first."""
