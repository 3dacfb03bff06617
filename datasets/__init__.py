"""The catalogue: what the archive holds, where its bytes are, and who may have them. Start at `models/`, then `curation/publishing.py`."""
