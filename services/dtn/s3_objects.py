"""An object of a bucket as an open file, and how paths and stamps become keys and numbers."""

from __future__ import annotations

import hashlib

from services.dtn import s3
from services.dtn.digests import Stamp
from services.dtn.errors import InvalidPathError, MissingError
from services.dtn.paths import normalise

MOST_KEY_BYTES = 1024


def key_of(prefix: str, path: str) -> str:
    """Return the key of a collection's path. Raises InvalidPathError for one that S3 does not take."""
    key = prefix + normalise(path).lstrip("/")
    if len(key.encode()) > MOST_KEY_BYTES:
        raise InvalidPathError(f"{path} is too long a name for the bucket.")
    return key


def stamp_of(bucket: s3.Bucket, found: s3.Object) -> Stamp:
    """Return what identifies the object's bytes: its bucket, its key with its ETag, its size and time."""
    return Stamp(_number(bucket.label), _number(f"{found.key}\n{found.etag}"), found.size, int(found.modified.timestamp()) * 10**9)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class ObjectFile:
    """An object that is read; a question to S3 goes on as long as it is read in order."""

    def __init__(self, bucket: s3.Bucket, found: s3.Object, real_path: str) -> None:
        self._bucket = bucket
        self._object = found
        self.real_path = real_path
        self.stamp = stamp_of(bucket, found)
        self._body: s3.Body | None = None
        self._at = 0
        self._end = found.size

    @property
    def fd(self) -> None:
        return None

    def read(self, length: int, offset: int) -> bytes:
        length = min(length, self._object.size - offset)
        if length <= 0:
            return b""
        if self._body is None or offset != self._at or offset >= self._end:
            self._ask(offset, length)
        if self._body is None:
            return b""
        chunk = self._body.read(min(length, self._end - offset))
        self._at += len(chunk)
        return chunk

    def read_into(self, buffer: memoryview, offset: int) -> int:
        chunk = self.read(len(buffer), offset)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def announce(self, offset: int, length: int) -> None:
        self.close()
        self._at, self._end = offset, min(offset + length, self._object.size)

    def _ask(self, offset: int, length: int) -> None:
        end = self._end if offset < self._end and offset == self._at else offset + length
        self.close()
        self._at, self._end = offset, end
        self._body = self._bucket.get(self._object.key, offset=offset, length=end - offset, etag=self._object.etag)

    def stamp_now(self) -> Stamp:
        found = self._bucket.head(self._object.key)
        if found is None:
            raise MissingError(f"Nothing is at {self.real_path}.")
        return stamp_of(self._bucket, found)

    def duplicate(self) -> ObjectFile:
        return ObjectFile(self._bucket, self._object, self.real_path)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
