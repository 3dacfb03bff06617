"""Globus Auth: identities, clients, scopes, consents, tokens, and the pages on which a person signs in and agrees.

Start with `scopes.py` (what can be asked for), then `consents.py` (what was agreed to), then `tokens.py` (what was handed out).
"""
