"""Globus Search: indices of metadata, who may write them, and queries that show each caller what is visible to her.

`routes.py` is the edge; `indices.py` says what there is and who may, `principals.py` who the caller is; `ingesting.py` reads what is to be
written and `tasks.py` writes it, later, as Globus does; `queries.py` answers, with `querystrings.py`, `filters.py` and `facets.py`.
"""
