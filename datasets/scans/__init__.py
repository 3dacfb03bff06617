"""Scans: from the listing of a collection or bucket to the files of a draft. Read `ingesting` first."""
