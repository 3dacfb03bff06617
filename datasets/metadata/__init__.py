"""Descriptions for machines: records from the database, negotiation on the landing page, OAI-PMH. Read `describing` first."""
