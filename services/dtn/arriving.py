"""How files get into a bucket: in parts under an unfinished name, and by a copy within the bucket under their own.

A part that S3 has stored survives a kill; what is not a whole part yet lies in a spool file of the node. The unfinished object is read back
and hashed where that is asked for, before the copy gives the file its name: so no name ever shows what was not found right. A file of one
part is put under its name in one step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from services.dtn import s3
from services.dtn.digests import Stamp
from services.dtn.errors import MissingError, NodeError, UnavailableError
from services.dtn.journal import FileEntry
from services.dtn.partials import part_name_for
from services.dtn.s3_objects import ObjectFile, stamp_of

PUTS_AT_ONCE = 16


class PartsUpload:
    """A multipart upload under an unfinished name. Safe to use from any thread."""

    def __init__(self, bucket: s3.Bucket, key: str, part_key: str) -> None:
        self.bucket = bucket
        self.key = key
        self.part_key = part_key
        self.whole: s3.Object | None = None  # once all parts are one object
        self._upload_id: str | None = None

    def find(self) -> bool:
        """Look for what an earlier process brought: parts, or the whole object that only lacks its name."""
        self._upload_id = self.bucket.find_upload(self.part_key)
        if self._upload_id is None:
            self.whole = self.bucket.head(self.part_key)
        return self._upload_id is not None or self.whole is not None

    def begin(self) -> None:
        self._upload_id = self.bucket.begin_upload(self.part_key)

    @property
    def is_begun(self) -> bool:
        return self._upload_id is not None

    def put(self, number: int, body: IO[bytes]) -> None:
        if self._upload_id is None:
            raise UnavailableError("The upload is not there any more.")
        body.seek(0)
        self.bucket.upload_part(self.part_key, self._upload_id, number, body)

    def parts(self) -> dict[int, tuple[str, int]]:
        if self._upload_id is None:
            return {}
        try:
            return self.bucket.parts(self.part_key, self._upload_id)
        except MissingError:  # ended by somebody else, a rule of the bucket perhaps
            return {}

    def complete(self, size: int) -> s3.Object:
        """Make one object of the parts. Raises UnavailableError, and leaves nothing, when parts are missing: begin anew."""
        if self.whole is None and self._upload_id is not None:
            parts = self.parts()
            if sum(length for _, length in parts.values()) == size:
                with contextlib.suppress(MissingError):  # done already, by a question whose answer was lost
                    self.bucket.complete_upload(self.part_key, self._upload_id, parts)
            self.whole = self.bucket.head(self.part_key)
        if self.whole is None or self.whole.size != size:
            self.remove()
            raise UnavailableError("The bucket does not hold all parts of the upload.")
        return self.whole

    def give_name(self, digest: str | None) -> None:
        """Copy the whole object to its own key. Safe to repeat until it returns."""
        if self.whole is None:
            raise UnavailableError("The upload is not complete.")
        self.bucket.copy(self.whole, self.key, digest=digest)
        with contextlib.suppress(NodeError):  # it has its name; what is left over, also of a beginning whose answer was lost, is hidden
            self.bucket.delete([self.part_key])
            self.bucket.abort_uploads(self.part_key)

    def remove(self) -> None:
        self.bucket.abort_uploads(self.part_key)
        self.bucket.delete([self.part_key])
        self.whole = self._upload_id = None

    def stamp(self) -> Stamp:
        found = self.bucket.head(self.key)
        if found is None:
            raise UnavailableError("The bucket does not show what was just put.")
        return stamp_of(self.bucket, found)


class ObjectPieces:
    """A file that is pulled by pieces, each a part (`storage.Unfinished`)."""

    def __init__(self, bucket: s3.Bucket, key: str, identifier: str, spool: Path, *, size: int, refuses: Callable[[], None]) -> None:
        folder, _, name = key.rpartition("/")
        part_key = f"{folder}/" * bool(folder) + part_name_for(name, identifier)
        self._parts = PartsUpload(bucket, key, part_key)
        self._spool = spool
        self._refuses = refuses
        self._size = size
        self._lock = threading.Lock()
        self._open: dict[int, IO[bytes]] = {}

    @property
    def is_readable(self) -> bool:
        return self._parts.whole is not None

    def exists(self) -> bool:
        return self._parts.find()

    def create(self, size: int) -> None:
        self._refuses()
        self.close()
        self._size = size
        if size > s3.piece_bytes(size):
            self._parts.remove()
            self._parts.begin()

    def write(self, chunk: memoryview, offset: int) -> None:
        number, start = self._number(offset)
        file = self._file(number)
        while chunk:
            n_bytes = os.pwrite(file.fileno(), chunk, offset - start)
            chunk, offset = chunk[n_bytes:], offset + n_bytes

    def flush(self, offset: int, length: int) -> None:
        number, _ = self._number(offset)
        self._parts.put(number, self._file(number))
        with self._lock:
            self._open.pop(number).close()

    def complete(self, size: int) -> None:
        self._parts.complete(size)

    def feed(self, digest: Any, offset: int, length: int, buffer: memoryview) -> None:
        if self._parts.whole is None and self._size <= s3.piece_bytes(self._size):  # one that is put in one step: it is still here
            while length and (n_bytes := os.preadv(self._file(1).fileno(), [buffer[:length]], offset)):
                digest.update(buffer[:n_bytes])
                offset, length = offset + n_bytes, length - n_bytes
            return
        if self._parts.whole is None:
            raise UnavailableError("The upload is not complete.")
        with contextlib.closing(ObjectFile(self._parts.bucket, self._parts.whole, "/")) as file:
            file.announce(offset, length)
            end = offset + length
            while offset < end and (n_bytes := file.read_into(buffer[: end - offset], offset)):
                digest.update(buffer[:n_bytes])
                offset += n_bytes

    def make_durable(self, mtime_ns: int | None) -> str:
        """S3 has stored it; the time of an object is that of its writing, as with Globus' connector."""
        return ""

    def put_in_place(self, digest: str) -> Stamp:
        if self._parts.whole is not None:
            self._parts.give_name(digest)
        else:
            file = self._file(1)
            file.seek(0)
            self._parts.bucket.put(self._parts.key, file, digest=digest)
        self.close()
        return self._parts.stamp()

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def remove(self) -> None:
        self.close()
        if self._size > s3.piece_bytes(self._size):  # else nothing of it is at S3
            with contextlib.suppress(NodeError):
                self._parts.remove()

    def _number(self, offset: int) -> tuple[int, int]:
        """Return the number of the part that `offset` lies in, and where the part begins."""
        length = s3.piece_bytes(self._size)
        return offset // length + 1, offset // length * length

    def _file(self, number: int) -> IO[bytes]:
        with self._lock:
            if number not in self._open:
                self._open[number] = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115  # open as long as its piece comes
            return self._open[number]


class ObjectLanding:
    """Small files, put under their names many at a time (`storage.Landing`)."""

    def __init__(self, bucket: s3.Bucket, key: Callable[[str], str], require_file_name: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._key = key
        self._require_file_name = require_file_name
        self._taken: list[tuple[FileEntry, str, bytes, str]] = []

    def write(self, entry: FileEntry, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self._taken.append((entry, self._key(entry.destination_path), body, digest))
        return digest

    def take_back(self) -> None:
        self._taken.pop()

    def make_durable(self) -> list[tuple[FileEntry, str, str]]:
        return [(entry, digest, "") for entry, _, _, digest in self._taken]

    def put_in_place(self, failed: Callable[[FileEntry, Exception], None]) -> list[tuple[FileEntry, str, Stamp | None]]:
        taken, self._taken = self._taken, []
        arrived: list[tuple[FileEntry, str, Stamp | None]] = []

        def put(one: tuple[FileEntry, str, bytes, str]) -> NodeError | None:
            try:
                self._require_file_name(one[0].destination_path)
                self._bucket.put(one[1], one[2], digest=one[3])
            except NodeError as error:
                return error
            return None

        with ThreadPoolExecutor(PUTS_AT_ONCE, thread_name_prefix="bucket") as pool:
            for (entry, _, _, digest), error in zip(taken, pool.map(put, taken), strict=True):
                if error is None:
                    arrived.append((entry, digest, None))
                else:
                    failed(entry, error)
        return arrived

    def give_up(self) -> list[FileEntry]:
        entries = [one[0] for one in self._taken]
        self._taken.clear()
        return entries

    def close(self) -> None:
        self.give_up()
