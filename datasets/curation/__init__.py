"""Curation: registering, checking, reviewing and publishing datasets; the bin; the desk. Read `publishing` first."""
