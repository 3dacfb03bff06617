"""A local Globus: Auth, Transfer, Groups and the GCS Manager on loopback, over the same REST APIs as the real one.

It knows identities, consents, tokens, collections, rules and tasks; it moves no bytes (data transfer nodes do,
`services/dtn/PROTOCOL.md`). Start reading at `app.py`, which assembles the routes, then `store.py`.
"""
