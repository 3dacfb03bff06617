"""The Transfer API: collections, what a caller may do there, folder operations, access rules, roles and tasks.

`routes.py` is the edge; `collections.py` and `permissions.py` say what there is and who may; `tasks.py` submits and
`orders.py` hands the work to data transfer nodes. Functions take an open SQLite connection and leave transactions to the store.
"""
