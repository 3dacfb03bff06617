"""Uploads over HTTPS into a bucket (`storage.Target`, `storage.Upload`), in order and perhaps by several requests.

Whole parts are at S3; the rest lies in a spool file of the node, which a resumable upload finds again after a kill.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import IO

from services.dtn import s3
from services.dtn.arriving import PartsUpload
from services.dtn.digests import Stamp, digest_of
from services.dtn.paths import part_name
from services.dtn.s3_objects import ObjectFile

UNKNOWN_PART_BYTES = 64 << 20  # of an upload whose length is not told: 10,000 of them are enough for 640 GB


class ObjectTarget:
    """Where an upload over HTTPS lands (`storage.Target`)."""

    def __init__(self, bucket: s3.Bucket, key: str, real_path: str, replaces: Stamp | None, spool: Path) -> None:
        self._bucket = bucket
        self._key = key
        self._spool = spool
        self.real_path = real_path
        self.replaces = replaces

    def note(self, identifier: str) -> str:
        return f"s3:{self._bucket.label}\n{self._part_key(identifier)}"

    @staticmethod
    def forget(note: str, bucket: s3.Bucket, spool: Path) -> bool:
        """Remove what a note tells of; False when it is of another bucket."""
        head, _, part_key = note.partition("\n")
        if head != f"s3:{bucket.label}":
            return False
        PartsUpload(bucket, "", part_key).remove()
        for tail in spool.glob(f"{_spool_name(part_key)}.*"):
            tail.unlink(missing_ok=True)
        return True

    def begin(self, identifier: str, *, total: int | None) -> ObjectUpload:
        return self._upload(identifier, part_bytes=UNKNOWN_PART_BYTES if total is None else s3.piece_bytes(total))

    def resume(self, identifier: str, *, total: int, makes: bool) -> ObjectUpload:
        upload = self._upload(identifier, part_bytes=s3.piece_bytes(total))
        if upload.find() or makes:
            return upload
        raise FileNotFoundError

    def _upload(self, identifier: str, *, part_bytes: int) -> ObjectUpload:
        return ObjectUpload(PartsUpload(self._bucket, self._key, self._part_key(identifier)), self._spool, part_bytes=part_bytes)

    def _part_key(self, identifier: str) -> str:
        folder, _, name = self._key.rpartition("/")
        return f"{folder}/" * bool(folder) + part_name(name, identifier)


class ObjectUpload:
    """A file that comes in order (`storage.Upload`): whole parts are at S3, the rest of it is in the spool file of the next part."""

    def __init__(self, parts: PartsUpload, spool: Path, *, part_bytes: int) -> None:
        self._parts = parts
        self._part_bytes = part_bytes
        self._stem = spool / _spool_name(parts.part_key)
        self._n_parts = 0
        self._sent_bytes = 0
        self._tail: IO[bytes] | None = None
        self._tail_bytes = 0

    def find(self) -> bool:
        """Look for what came before, and go on there."""
        is_there = self._parts.find()
        if self._parts.whole is None:
            stored = self._parts.parts()
            self._n_parts, self._sent_bytes = len(stored), sum(length for _, length in stored.values())
        for other in self._stem.parent.glob(f"{self._stem.name}.*"):
            if other != self._tail_file():  # S3 had stored this part when the node was killed
                other.unlink(missing_ok=True)
        if self._tail_file().exists():
            self._tail_bytes = self._open_tail().seek(0, os.SEEK_END)
            is_there = True
        return is_there

    @property
    def size(self) -> int:
        whole = self._parts.whole
        return whole.size if whole is not None else self._sent_bytes + self._tail_bytes

    def append(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            if self._tail_bytes == self._part_bytes:
                self._send_tail()
            room = self._part_bytes - self._tail_bytes
            n_bytes = os.pwrite(self._open_tail().fileno(), left[:room], self._tail_bytes)
            self._tail_bytes += n_bytes
            left = left[n_bytes:]

    def truncate(self, size: int) -> None:
        """Parts that S3 has stored cannot be shortened: when they hold more than `size`, the upload begins anew."""
        if size < self._sent_bytes:
            self.discard()
        elif self._tail is not None:
            self._tail_bytes = size - self._sent_bytes
            self._tail.truncate(self._tail_bytes)

    def sync(self) -> None:
        if self._tail is not None:
            os.fdatasync(self._tail.fileno())

    def digest(self) -> str:
        if self._n_parts or self._parts.whole is not None:
            self._complete()
        whole = self._parts.whole
        if whole is not None:
            with contextlib.closing(ObjectFile(self._parts.bucket, whole, "/")) as file:
                return digest_of(file)
        tail, digest = self._open_tail(), hashlib.sha256()
        tail.seek(0)
        while chunk := tail.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()

    def commit(self) -> Stamp:
        if self._n_parts or self._parts.whole is not None:
            self._complete()
            self._parts.give_name(None)
        else:
            tail = self._open_tail()
            tail.seek(0)
            self._parts.bucket.put(self._parts.key, tail)
        self._drop_tail()
        return self._parts.stamp()

    def _complete(self) -> None:
        if self._tail_bytes:
            self._send_tail()
        self._parts.complete(self.size)

    def discard(self) -> None:
        self._drop_tail()
        self._parts.remove()
        self._n_parts = self._sent_bytes = 0

    def close(self) -> None:
        """What is in the tail stays: its writer may come back."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _send_tail(self) -> None:
        if not self._parts.is_begun:
            self._parts.begin()
        self._parts.put(self._n_parts + 1, self._open_tail())
        n_bytes = self._tail_bytes
        self._drop_tail()
        self._n_parts += 1
        self._sent_bytes += n_bytes

    def _tail_file(self) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{self._n_parts + 1}")

    def _open_tail(self) -> IO[bytes]:
        if self._tail is None:
            fd = os.open(self._tail_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._tail = os.fdopen(fd, "r+b", buffering=0)
        return self._tail

    def _drop_tail(self) -> None:
        self.close()
        self._tail_file().unlink(missing_ok=True)
        self._tail_bytes = 0


def _spool_name(part_key: str) -> str:
    return "upload-" + hashlib.sha256(part_key.encode()).hexdigest()[:32]
