"""Where the unix sockets are: a unix path has at most 107 bytes, so they get a short folder of their own, private to us."""

import os
import tempfile
from pathlib import Path


def make_socket_folder() -> Path:
    """A new short private folder. As root others may pass through it (PostgreSQL's user must), but not list it."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-", dir="/tmp"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder
