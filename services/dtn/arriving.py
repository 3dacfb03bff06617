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
from services.dtn.digests import Stamp, digest_of
from services.dtn.errors import IsDirectoryError, NodeError, UnavailableError
from services.dtn.journal import FileEntry
from services.dtn.partials import part_name_for
from services.dtn.paths import part_name
from services.dtn.s3_objects import ObjectFile, stamp_of

UNKNOWN_PART_BYTES = 64 << 20  # of an upload whose length is not told: 10,000 of them are enough for 640 GB
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
        return {} if self._upload_id is None else self.bucket.parts(self.part_key, self._upload_id)

    def complete(self, size: int) -> s3.Object:
        """Make one object of the parts. Raises UnavailableError, and leaves nothing, when parts are missing: begin anew."""
        if self.whole is None and self._upload_id is not None:
            parts = self.parts()
            if sum(length for _, length in parts.values()) == size:
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
        with contextlib.suppress(NodeError):  # it has its name; what is left over is hidden, and removed with the order
            self.bucket.delete([self.part_key])

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

    def __init__(self, bucket: s3.Bucket, key: Callable[[str], str]) -> None:
        self._bucket = bucket
        self._key = key
        self._taken: list[tuple[FileEntry, str, bytes, str]] = []

    def write(self, entry: FileEntry, body: bytes) -> str:
        if entry.destination_path.endswith("/"):
            raise IsDirectoryError("A file's destination does not end with '/'.")
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
