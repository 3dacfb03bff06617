"""Walking a collection path: breadth first, several folders side by side, in flat memory."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import connections

from datasets.errors import InvalidError

SIDE_BY_SIDE = 8
CHUNK = 1_000


@dataclass(frozen=True)
class Entry:
    """What a listing says about one name in a folder."""

    name: str
    is_folder: bool
    size_bytes: int = 0
    modified_at: datetime | None = None


ListFolder = Callable[[str], Iterator[Entry]]


@dataclass(frozen=True)
class Chunk:
    """Some entries of one folder; `is_last` says that the folder has no more."""

    path: str
    entries: list[Entry]
    is_last: bool
    error: BaseException | None = None


def walk(list_folder: ListFolder, base_path: str, start: Iterable[str] = ("/",)) -> Iterator[Chunk]:
    """Everything in the folders `start` and below them, with paths relative to `base_path` (the root is `/`).

    `list_folder` takes the collection path of a folder, pages by itself and is called from several threads at once. What it raises ends
    the walk and is raised here.
    """
    chunks: queue.Queue[Chunk] = queue.Queue(maxsize=4 * SIDE_BY_SIDE)
    stop = threading.Event()
    waiting, n_running = deque(start), 0
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="listing") as pool:
        try:
            while waiting or n_running:
                while waiting and n_running < SIDE_BY_SIDE:
                    pool.submit(_list, list_folder, base_path, waiting.popleft(), chunks, stop)
                    n_running += 1
                chunk = chunks.get()
                if chunk.error is not None:
                    raise chunk.error
                n_running -= chunk.is_last
                waiting.extend(f"{chunk.path}{entry.name}/" for entry in chunk.entries if entry.is_folder)
                yield chunk
        finally:
            stop.set()


def _list(list_folder: ListFolder, base_path: str, path: str, chunks: "queue.Queue[Chunk]", stop: threading.Event) -> None:
    """Put one folder's entries into the queue, piece by piece; whatever goes wrong travels through the queue too."""
    try:
        entries = iter(list_folder(base_path + path.removeprefix("/")))
        while not stop.is_set():
            piece = list(islice(entries, CHUNK))
            for entry in piece:
                _check_name(entry.name, path)
            is_last = len(piece) < CHUNK
            _put(chunks, Chunk(path, piece, is_last), stop)
            if is_last:
                return
    except BaseException as error:  # noqa: BLE001  (raised again by walk, in the caller's thread)
        _put(chunks, Chunk(path, [], is_last=True, error=error), stop)
    finally:
        connections.close_all()  # the callable may have read tokens; these connections belong to this thread


def _put(chunks: "queue.Queue[Chunk]", chunk: Chunk, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            chunks.put(chunk, timeout=0.2)
        except queue.Full:
            continue
        return


def _check_name(name: str, path: str) -> None:
    if not name or name in {".", ".."} or "/" in name or "\0" in name or not _is_text(name):
        raise InvalidError(f"The collection lists a name that no path can hold, in {path}: {name!r}")


def _is_text(name: str) -> bool:
    """Not so with half a surrogate pair, which JSON can hold and the database cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
