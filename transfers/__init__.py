"""Everything that moves or grants data: baskets, data requests, shares, transfers. Start reading at `sharing.py`."""
