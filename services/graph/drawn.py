"""Drawings kept for the next who asks: by what was drawn, never by who asked.

A kept drawing is used only after its source was asked for again with the caller's own token: the key holds the ETags that the node
answered her with, so nobody gets a graph of data that she may not read, or of data that have changed.
"""

import base64
import contextlib
import hashlib
import json
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.graph.drawing import Drawing

EDITION = 1  # raised when charts are drawn differently
MOST_KEPT = 1000


def key_of(*, source: dict[str, Any], etags: list[str], period: dict[str, int] | None, kind: str) -> str:
    """What a drawing depends on, as a name."""
    facts = [EDITION, source, etags, period, kind]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def find(folder: Path, key: str) -> Drawing | None:
    """The kept drawing of that key."""
    try:
        kept = json.loads((folder / f"{key}.json").read_bytes())
        return Drawing(**{**kept, "png": base64.b64decode(kept["png"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(folder: Path, key: str, drawing: Drawing) -> None:
    """Keep a drawing; the oldest go when there are too many."""
    folder.mkdir(exist_ok=True, mode=0o700)
    fresh = folder / f".{uuid.uuid4().hex}"
    fresh.write_text(json.dumps({**asdict(drawing), "png": base64.b64encode(drawing.png).decode()}))
    fresh.replace(folder / f"{key}.json")
    kept = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in kept[: max(0, len(kept) - MOST_KEPT)]:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
