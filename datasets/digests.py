r"""The digest of a folder, and so of a version: what it is computed from, byte by byte.

    folder digest = SHA-256( "causeway folder 1\n" + entry + entry + ... )
    entry         = kind (1 byte) + length of the name (4 bytes, big-endian) + name (UTF-8)
                    + size in bytes (8 bytes, big-endian) + digest (32 bytes)

    kind  d  a folder: its recursive size, its folder digest
          f  a file: its size, its SHA-256
          u  a file whose SHA-256 is not known: its size, 32 zero bytes

Entries are sorted by (kind, name), names as bytes. Folders that hold no file at any depth are left out. The digest of the root folder
is the digest of the version: whoever has the files can compute it again with nothing but this page. Only folders with a change below
them need to be computed anew. `files/recounting.py` computes the same in the database; tests hold both to the same vectors.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

DOMAIN = b"causeway folder 1\n"
UNKNOWN = bytes(32)


@dataclass(frozen=True)
class Entry:
    """A child of a folder. `digest` is the SHA-256 of a file (None when unknown) or the folder digest of a folder."""

    is_folder: bool
    name: str
    size_bytes: int
    digest: bytes | None

    @property
    def kind(self) -> bytes:
        if self.is_folder:
            return b"d"
        return b"u" if self.digest is None else b"f"

    def encode(self) -> bytes:
        name = self.name.encode()
        return self.kind + len(name).to_bytes(4, "big") + name + self.size_bytes.to_bytes(8, "big") + (self.digest or UNKNOWN)


def folder_digest(entries: Iterable[Entry]) -> bytes:
    """The digest of a folder from its children, in any order."""
    ordered = sorted(entries, key=lambda entry: (entry.kind, entry.name.encode()))
    return hashlib.sha256(DOMAIN + b"".join(entry.encode() for entry in ordered)).digest()
