"""Whether a downloaded tree is what was published: `python -m datasets.verify FOLDER --manifest manifest.csv --digest HEX`.

Needs neither the portal nor a network nor Django: the standard library and `digests.py`, which says what the digest is computed from.
With the manifest of the version every file that is missing, changed or not part of it is named. With the digest alone the whole tree is
either what was published or not. Both together also show that the manifest itself is the one that was published.

Exit code 0: as published; 1: not; 2: the question cannot be answered.
"""

import argparse
import csv
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from datasets.digests import Entry, folder_digest

PIECE = 1 << 20


@dataclass(frozen=True)
class Listed:
    """A file of the manifest; `sha256` is None where it was not known at publication."""

    size_bytes: int
    sha256: bytes | None


@dataclass
class Findings:
    """Paths relative to the folder, with what is wrong with each; and the digest of what is there."""

    wrong: list[tuple[str, str]] = field(default_factory=list)
    n_files: int = 0
    size_bytes: int = 0
    digest: bytes = b""


def read_manifest(lines: Iterator[str]) -> dict[str, Listed]:
    """The files of a manifest in CSV (columns path, size_bytes, sha256), by path. Raises ValueError naming the line that is wrong."""
    listed: dict[str, Listed] = {}
    for number, row in enumerate(csv.DictReader(lines), start=2):
        try:
            checksum = bytes.fromhex(row["sha256"])
            listed[row["path"]] = Listed(int(row["size_bytes"]), checksum or None)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"line {number} of the manifest is not path, size_bytes, sha256") from error
        if checksum and len(checksum) != hashlib.sha256().digest_size:
            raise ValueError(f"line {number} of the manifest has no SHA-256")
    return listed


def verify(folder: Path, listed: dict[str, Listed] | None = None, *, n_threads: int = 4) -> Findings:
    """Read every file below a folder and hold it against the manifest, when there is one. Links are not followed: they are not data."""
    found = Findings()
    paths = sorted(find_files(folder))
    tree: dict[str, list[Entry]] = {"": []}
    with ThreadPoolExecutor(n_threads) as threads:
        for path, (size_bytes, checksum) in zip(paths, threads.map(lambda path: measure(folder / path), paths), strict=True):
            found.n_files += 1
            found.size_bytes += size_bytes
            expected = listed.get(path) if listed is not None else None
            if words := "" if listed is None else difference(expected, size_bytes, checksum):
                found.wrong.append((path, words))
            place, _, name = path.rpartition("/")
            known = None if expected is not None and expected.sha256 is None else checksum
            tree.setdefault(place, []).append(Entry(is_folder=False, name=name, size_bytes=size_bytes, digest=known))
    found.wrong += [(path, "is missing") for path in sorted((listed or {}).keys() - set(paths))]
    found.digest = root_digest(tree)
    return found


def find_files(folder: Path) -> Iterator[str]:
    """Relative paths of all files below a folder, with / between the names."""
    for at, _folders, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(at, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    raise error


def measure(path: Path) -> tuple[int, bytes]:
    """Size and SHA-256 of a file, read in pieces."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size_bytes += len(piece)
    return size_bytes, digest.digest()


def difference(expected: Listed | None, size_bytes: int, checksum: bytes) -> str:
    """What is wrong with a file, in words; empty when it is as published."""
    if expected is None:
        return "is not part of the version"
    if expected.size_bytes != size_bytes:
        return f"has {size_bytes} bytes instead of {expected.size_bytes}"
    if expected.sha256 is not None and expected.sha256 != checksum:
        return "has another SHA-256"
    return ""


def root_digest(tree: dict[str, list[Entry]]) -> bytes:
    """The digest of the root folder, from the files of each folder; every folder on the way gets its own, deepest first."""
    for path in list(tree):
        while path := path.rpartition("/")[0]:
            tree.setdefault(path, [])
    for path in sorted(filter(None, tree), key=lambda path: path.count("/"), reverse=True):
        parent, _, name = path.rpartition("/")
        size_bytes = sum(entry.size_bytes for entry in tree[path])
        tree[parent].append(Entry(is_folder=True, name=name, size_bytes=size_bytes, digest=folder_digest(tree[path])))
    return folder_digest(tree[""])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m datasets.verify", description="Is this tree what was published?")
    parser.add_argument("folder", type=Path, help="where the files of the version are")
    parser.add_argument("--manifest", type=Path, help="the manifest of the version, as CSV")
    parser.add_argument("--digest", default="", help="the digest of the version, as its page shows it: 64 hexadecimal digits")
    asked = parser.parse_args(arguments)
    try:
        digest = read_digest(asked.digest)
        if not asked.manifest and not digest:
            parser.error("give --manifest, --digest, or both")
        found = verify(asked.folder, read_manifest_file(asked.manifest) if asked.manifest else None)
    except (OSError, ValueError) as error:
        print(f"cannot tell: {error}", file=sys.stderr)
        return 2
    return tell(found, digest)


def read_digest(text: str) -> str:
    """A digest in small letters; ValueError unless it has 64 hexadecimal digits."""
    if text and len(bytes.fromhex(text)) != hashlib.sha256().digest_size:
        raise ValueError("--digest takes 64 hexadecimal digits")
    return text.lower()


def read_manifest_file(path: Path) -> dict[str, Listed]:
    with path.open(encoding="utf-8", newline="") as lines:
        return read_manifest(lines)


def tell(found: Findings, digest: str) -> int:
    """Print what was found; the exit code."""
    for path, words in found.wrong:
        print(f"{path} {words}")
    is_digest_right = not digest or found.digest.hex() == digest
    if not is_digest_right:
        print(f"the digest of this tree is {found.digest.hex()}, not {digest}")
    if found.wrong or not is_digest_right:
        print(f"not as published: {len(found.wrong)} of {found.n_files} files differ" if found.wrong else "not as published")
        return 1
    print(f"as published: {found.n_files} files, {found.size_bytes} bytes, digest {found.digest.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
