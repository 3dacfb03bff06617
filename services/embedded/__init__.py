"""The embedded default: everything the product needs on one machine, from wheels, as process groups under one supervisor.

Start reading at `stack.py` (which programs there are and what each may know), then `supervisor.py` (how they are started,
watched and stopped). `postgres.py` and `valkey.py` are usable alone. Nothing here is imported by the product, and nothing
of the product is imported here: the programs are started by their command lines only.
"""
