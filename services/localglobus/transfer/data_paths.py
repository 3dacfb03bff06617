"""Which way a collection's data go: by the engine of its mapped collection, in private where that forces encryption.

GridFTP needs a server at each end, so a task goes by it when both of its collections say `gridftp`; HTTPS is what every node speaks.
HTTPS is always private; GridFTP is when the task asks (`encrypt_data`) or one of the collections forces it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from services.localglobus.errors import ApiError
from services.localglobus.transfer.collections import Collection
from services.localglobus.transfer.connectors import S3

ENGINES = ("https", "gridftp")


def change(db: sqlite3.Connection, collection: Collection, asked: Mapping[str, Any]) -> None:
    """Keeps `engine` and `force_encryption` of a mapped collection, for it and all guest collections on it.

    Raises `ApiError` 400 for an engine that there is not, 403 for a guest collection.
    """
    engine, forces = asked.get("engine", collection.engine), asked.get("force_encryption", collection.forces_encryption)
    if (engine, forces) == (collection.engine, collection.forces_encryption):
        return
    if engine not in ENGINES or not isinstance(forces, bool):
        raise ApiError("bad_request", f"engine must be one of {', '.join(ENGINES)}, force_encryption true or false", 400)
    if engine == "gridftp" and collection.connector.id == S3:
        raise ApiError("bad_request", "No GridFTP server reads the buckets of this storage gateway", 400)
    if not collection.is_mapped:
        raise ApiError("permission_denied", "engine and force_encryption are those of the mapped collection", 403)
    db.execute("INSERT OR REPLACE INTO data_path VALUES (?, ?, ?)", (collection.id, engine, forces))


def engine_between(source: Collection, destination: Collection, options: Mapping[str, Any]) -> str:
    """GridFTP where both say so; its servers know no bandwidth cap, so a task that has one goes by HTTPS."""
    is_capped = options.get("most_bytes_per_s") is not None
    return "gridftp" if source.engine == destination.engine == "gridftp" and not is_capped else "https"


def is_private(source: Collection, destination: Collection, options: Mapping[str, Any]) -> bool:
    return bool(options.get("encrypt_data")) or source.forces_encryption or destination.forces_encryption
