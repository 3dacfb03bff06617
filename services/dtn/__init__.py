"""A data transfer node: serves the files of one data host over HTTPS under the collections' rules, and pulls copies from other nodes.

It knows nothing of identities and tasks: control (`services/localglobus`) decides, in the words of `PROTOCOL.md`.
Start reading at `__main__.py`, then `app.py`.
"""
