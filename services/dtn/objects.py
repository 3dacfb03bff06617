"""Storage in a bucket, with folders as Globus' S3 connector shows them: what stands before a `/` in keys, and empty `folder/` objects.

A folder is there when a key begins with it; making one puts the empty object that keeps it. Nothing is a link. Names that no path can
hold are listed, but not reached. Renaming is copying and deleting, object by object, since S3 has nothing else. How files get there is in
`arriving.py` and `object_uploads.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from services.dtn import s3, small_files
from services.dtn.arriving import ObjectLanding, ObjectPieces
from services.dtn.digests import Stamp
from services.dtn.entries import STEPS, Entry, MaySee, everything
from services.dtn.errors import (
    ChangedError,
    ExistsError,
    ForbiddenError,
    InvalidPathError,
    IsDirectoryError,
    MissingError,
    NodeError,
    NotDirectoryError,
)  # fmt: skip
from services.dtn.faults import Faults
from services.dtn.object_uploads import ObjectTarget
from services.dtn.paths import is_part_name, normalise
from services.dtn.s3_accounts import Account
from services.dtn.s3_objects import ObjectFile, key_of, stamp_of
from services.dtn.small_files import Answered
from services.dtn.storage import Judge, MadeFolders, anywhere

AT_ONCE = 16
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
Asked = TypeVar("Asked")
Found = TypeVar("Found")


class ObjectStorage:
    """The part of a bucket below `prefix` ("" or ending with a slash), as `storage.Storage`."""

    def __init__(self, bucket: s3.Bucket, prefix: str, spool: Path) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._spool = spool
        self._marker = bucket.account.folder_marker

    def held_to(self, may_write: Callable[[str], bool]) -> ObjectStorage:
        return self

    # what is there

    def list_folder(
        self, path: str, *, show_hidden: bool = True, may_see: MaySee = everything, is_brief: bool = False
    ) -> tuple[str, list[Entry]]:
        folder = normalise(path).rstrip("/") + "/"
        prefix = self._key(folder)
        entries: list[Entry] = []
        is_there = folder == "/"
        for page in self._bucket.scan(prefix, delimiter="/"):
            is_there = is_there or bool(page.objects or page.prefixes)
            found = [(one.key[len(prefix) :], one) for one in page.objects]
            listed = [_file_entry(name, one) for name, one in found if name not in {"", self._marker}]
            listed += [_folder_entry(one[len(prefix) : -1]) for one in page.prefixes]
            listed = [{**entry, "type": "other"} if entry["name"] in STEPS else entry for entry in listed]
            entries += [entry for entry in listed if self._is_shown(folder, entry, show_hidden, may_see)]
        if not is_there:
            if self._head(folder.rstrip("/")) is not None:
                raise NotDirectoryError(f"{path} is not a folder.")
            raise MissingError(f"Nothing is at {path}.")
        return folder, entries

    def _is_shown(self, folder: str, entry: Entry, show_hidden: bool, may_see: MaySee) -> bool:
        name = entry["name"]
        if is_part_name(name) or (name.startswith(".") and not show_hidden):
            return False
        return may_see(folder + name, is_folder=entry["type"] == "dir")

    def stat(self, path: str) -> tuple[str, Entry]:
        normal = normalise(path)
        name = normal.rstrip("/").rsplit("/", 1)[-1]
        found = None if normal.endswith("/") else self._head(normal)
        if found is not None:
            return normal, _file_entry(name, found)
        if self._has_folder(normal):
            return normal.rstrip("/") or "/", _folder_entry(name)
        if normal.endswith("/") and self._head(normal.rstrip("/")) is not None:
            raise NotDirectoryError(f"{path} is not a folder.")
        raise MissingError(f"Nothing is at {path}.")

    def open(self, path: str) -> ObjectFile:
        normal = normalise(path)
        found = None if normal.endswith("/") else self._head(normal)
        if found is not None:
            return ObjectFile(self._bucket, found, normal)
        if self._has_folder(normal):
            raise IsDirectoryError(f"{path} is a folder.")
        raise MissingError(f"Nothing is at {path}.")

    def read_small(self, paths: Sequence[str], may_read: Callable[[str], bool], faults: Faults) -> Generator[Answered, None, None]:
        def read(asked: tuple[int, str]) -> Answered:
            try:
                return self._read_small(*asked, may_read, faults)
            except NodeError as error:
                return Answered(asked[0], error=error)

        yield from at_once(read, enumerate(paths))

    def _read_small(self, index: int, path: str, may_read: Callable[[str], bool], faults: Faults) -> Answered:
        normal = normalise(path)
        if normal.endswith("/"):
            raise IsDirectoryError(f"{path} is a folder.")
        if is_part_name(normal.rsplit("/", 1)[-1]):
            raise MissingError(f"Nothing is at {path}.")
        if not may_read(normal):
            raise ForbiddenError(f"The ticket does not open {path}.")
        with contextlib.closing(self._bucket.get(self._key(normal))) as body:
            size = body.object.size
            if size > small_files.MOST_BYTES:
                return Answered(index, is_large=True)
            fault = small_files.strike_get(faults, size)
            content = body.read(size + 1)
        if not may_read(normal):  # while it was on its way
            raise ForbiddenError(f"The ticket does not open {path}.")
        if len(content) != size:
            raise ChangedError(f"{path} changed while it was read.")
        digest = hashlib.sha256(content).hexdigest()
        stamp = stamp_of(self._bucket, body.object)
        return Answered(index, size, stamp.mtime_ns, digest, content if fault is None else bytes(fault.spoil(content)))

    def real_path(self, path: str) -> str:
        return normalise(path).rstrip("/") or "/"

    def find(self, path: str) -> Stamp | None:
        normal = normalise(path)
        found = None if normal.endswith("/") else self._head(normal)
        return None if found is None else stamp_of(self._bucket, found)

    def is_in_place(self, path: str, *, mark: str, digest: str) -> bool:
        found = self._head(normalise(path))
        return found is not None and found.digest == digest

    # folders and names

    def make_folder(self, path: str) -> bool:
        if not self._has_folder(normalise(path)):
            self._put_marker(path)
        return False

    def make_link(self, path: str, target: str, *, top: str) -> None:
        raise InvalidPathError("A bucket holds no symbolic links.")

    def mkdir(self, path: str, *, judge: Judge = anywhere) -> None:
        normal = normalise(path)
        judge(normal)
        self._require_parent(normal)
        self._require_nothing(normal)
        self._put_marker(normal)

    def rename(self, old_path: str, new_path: str, *, judge: Judge = anywhere) -> None:
        old, new = normalise(old_path), normalise(new_path)
        judge(old)
        judge(new)
        if old == "/":
            raise ExistsError("The collection's own folder keeps its name.")
        found = None if old.endswith("/") else self._head(old)
        if found is None and not self._has_folder(old):
            raise MissingError(f"Nothing is at {old_path}.")
        self._require_parent(new)
        self._require_nothing(new)
        if found is not None:
            self._bucket.copy(found, self._key(new.rstrip("/")))
            now = self._bucket.head(found.key)
            if now is not None and now.etag == found.etag:  # else it is another file by now, which keeps its name
                self._bucket.delete([found.key])
        elif (new.rstrip("/") + "/").startswith(old.rstrip("/") + "/"):
            raise ExistsError("A folder cannot be moved into itself.")
        else:
            self._move_below(self._key(old.rstrip("/") + "/"), self._key(new.rstrip("/") + "/"))

    def _move_below(self, old_prefix: str, new_prefix: str) -> None:
        """Copy everything, then delete what was copied; what lands or changes meanwhile stays under the old name.

        Until all is copied, everything is under the old name, and a fault takes the copies away, so that it can be asked for again. A node
        that is killed leaves both: the old name is whole, or what is missing of it is whole under the new one.
        """
        copied: dict[str, str] = {}
        made: dict[str, str] = {}

        def copy(one: s3.Object) -> None:
            key = new_prefix + one.key[len(old_prefix) :]
            made[key] = self._bucket.copy(one, key)
            copied[one.key] = one.etag

        try:
            for page in self._bucket.scan(old_prefix):
                deque(at_once(copy, page.objects), maxlen=0)
        except NodeError:
            with contextlib.suppress(NodeError):
                self._delete_as_found(new_prefix, made)
            raise
        self._delete_as_found(old_prefix, copied)

    def _delete_as_found(self, prefix: str, found: Mapping[str, str]) -> None:
        """Delete the objects (ETag by key) below a prefix that are still the same."""
        for page in self._bucket.scan(prefix):
            self._bucket.delete([one.key for one in page.objects if found.get(one.key) == one.etag])

    def delete(self, path: str, *, recursive: bool, ignore_missing: bool, judge: Judge = anywhere) -> int:
        normal = normalise(path)
        judge(normal)
        found = None if normal.endswith("/") else self._head(normal)
        if found is not None:
            self._bucket.delete([found.key])
            return 1
        if normal == "/":
            raise ForbiddenError("The collection's own folder stays.")
        prefix = self._key(normal.rstrip("/") + "/")
        if not self._has_folder(normal):
            if ignore_missing:
                return 0
            raise MissingError(f"Nothing is at {path}.")
        if not recursive:
            first = next(self._bucket.scan(prefix, limit=2)).objects
            if any(one.key != prefix + self._marker for one in first):
                raise ExistsError(f"{path} is not empty.")
        return self._delete_below(prefix)

    def _delete_below(self, prefix: str) -> int:
        deleted = 0
        for page in self._bucket.scan(prefix):
            self._bucket.delete([one.key for one in page.objects])
            deleted += len(page.objects)
        return deleted

    def unlink(self, path: str, *, check: Callable[[Stamp], None]) -> None:
        found = self._head(normalise(path))
        if found is None:
            if self._has_folder(normalise(path)):
                raise IsDirectoryError(f"{path} is a folder.")
            raise MissingError(f"Nothing is at {path}.")
        check(stamp_of(self._bucket, found))
        self._bucket.delete([found.key])

    # files on their way

    def unfinished(self, path: str, key: str, made_folders: MadeFolders, *, size: int) -> ObjectPieces:
        return ObjectPieces(self._bucket, self._key(path), key, self._spool, size=size, refuses=lambda: self._require_file_name(path))

    def piece_bytes(self, size: int) -> int:
        return s3.piece_bytes(size)

    def landing(self, *, order_id: str, made_folders: MadeFolders, keeps_times: bool) -> ObjectLanding:
        return ObjectLanding(self._bucket, self._key, self._require_file_name)

    @contextlib.contextmanager
    def target(self, path: str) -> Iterator[ObjectTarget]:
        self._require_file_name(path)
        yield ObjectTarget(self._bucket, self._key(path), normalise(path), self.find(path), self._spool)

    def forget_upload(self, note: str) -> bool:
        return ObjectTarget.forget(note, self._bucket, self._spool)

    def free_bytes(self) -> int | None:
        return None

    # keys

    def _key(self, path: str) -> str:
        return key_of(self._prefix, path)

    def _head(self, path: str) -> s3.Object | None:
        return self._bucket.head(self._key(path)) if path != "/" else None

    def _has_folder(self, path: str) -> bool:
        if path == "/":
            return True
        page = next(self._bucket.scan(self._key(path.rstrip("/") + "/"), limit=1))
        return bool(page.objects)

    def _put_marker(self, path: str) -> None:
        self._bucket.put(self._key(normalise(path).rstrip("/") + "/") + self._marker, b"")

    def _require_parent(self, path: str) -> None:
        parent = path.rstrip("/").rpartition("/")[0] or "/"
        if not self._has_folder(parent):
            if self._head(parent) is not None:
                raise NotDirectoryError(f"{parent} is not a folder.")
            raise MissingError(f"Nothing is at {parent}.")

    def _require_nothing(self, path: str) -> None:
        if self._has_folder(path) or self._head(path.rstrip("/")) is not None:
            raise ExistsError(f"Something is already at {path}.")

    def _require_file_name(self, path: str) -> None:
        """Raise IsDirectoryError where no file can be."""
        if normalise(path).endswith("/"):
            raise IsDirectoryError("A file's name does not end with '/'.")
        if self._has_folder(normalise(path)):
            raise IsDirectoryError(f"{path} is a folder.")


def open_bucket(account: Account, name: str, prefix: str, spool: Path) -> ObjectStorage:
    """Return the part of a bucket below `prefix`; asks nothing of it."""
    spool.mkdir(exist_ok=True)
    return ObjectStorage(s3.Bucket(account, name, shown=prefix), prefix, spool)


def at_once(act: Callable[[Asked], Found], asked: Iterable[Asked]) -> Iterator[Found]:
    """Yield what `act` makes of each, in order, a few at a time ahead of whoever takes them."""
    waiting: deque[Future[Found]] = deque()
    questions = iter(asked)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bucket") as pool:
        try:
            waiting.extend(pool.submit(act, one) for one in itertools.islice(questions, AT_ONCE))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(act, one) for one in itertools.islice(questions, 1))
        finally:
            for future in waiting:
                future.cancel()


def _file_entry(name: str, found: s3.Object) -> Entry:
    return _entry(name, "file", found.size, found.modified, "0644")


def _folder_entry(name: str) -> Entry:
    return _entry(name, "dir", 0, NO_TIME, "0755")


def _entry(name: str, kind: str, size: int, modified: datetime, permissions: str) -> Entry:
    return {
        "name": name,
        "type": kind,
        "size": size,
        "last_modified": modified.isoformat(),
        "permissions": permissions,
        "user": "",
        "group": "",
        "link_target": None,
    }
