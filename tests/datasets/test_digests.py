"""The vectors here are the format: they were computed by hand from the bytes that the module's docstring describes."""

import hashlib

from datasets.curation import publishing
from datasets.digests import Entry, folder_digest
from datasets.files import FileQuery, iterate
from datasets.models import FolderState
from tests.datasets.conftest import scan

HELLO = hashlib.sha256(b"hello").digest()


def test_a_folder_with_one_file_has_the_digest_of_these_bytes():
    by_hand = b"causeway folder 1\n" + b"f" + bytes([0, 0, 0, 5]) + b"a.txt" + bytes([0, 0, 0, 0, 0, 0, 0, 5]) + HELLO
    assert folder_digest([Entry(is_folder=False, name="a.txt", size_bytes=5, digest=HELLO)]) == hashlib.sha256(by_hand).digest()


def test_vectors():
    file = Entry(is_folder=False, name="a.txt", size_bytes=5, digest=HELLO)
    unknown = Entry(is_folder=False, name="é.bin", size_bytes=2**40, digest=None)
    inner = folder_digest([file])
    folder = Entry(is_folder=True, name="z", size_bytes=5, digest=inner)
    assert inner.hex() == "dccd7eced77fddb4f091c5831cdad66a61dedab7b56467cd375426071127907d"
    assert folder_digest([unknown, file, folder]).hex() == "9e5ab5b17305abe98e78063ea16933febb55ae3c6ba7fce6f34fcc0bf5cda8ca"
    assert folder_digest([]).hex() == hashlib.sha256(b"causeway folder 1\n").hexdigest()


def test_order_of_entries_does_not_matter_and_every_field_does():
    one = Entry(is_folder=False, name="a", size_bytes=1, digest=HELLO)
    two = Entry(is_folder=False, name="b", size_bytes=1, digest=HELLO)
    assert folder_digest([one, two]) == folder_digest([two, one])
    variants = [
        one,
        Entry(is_folder=True, name="a", size_bytes=1, digest=HELLO),
        Entry(is_folder=False, name="b", size_bytes=1, digest=HELLO),
        Entry(is_folder=False, name="a", size_bytes=2, digest=HELLO),
        Entry(is_folder=False, name="a", size_bytes=1, digest=None),
    ]
    assert len({folder_digest([variant]) for variant in variants}) == len(variants)


def rebuild(version) -> bytes:
    """The digest of a version from its file list alone, by the module in Python."""
    tree: dict = {}
    for row in iterate(version, FileQuery()):
        *folders, name = row.path.strip("/").split("/")
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = row

    def digest(node: dict) -> tuple[bytes, int]:
        entries = []
        for name, child in node.items():
            if isinstance(child, dict):
                inner, size = digest(child)
                entries.append(Entry(is_folder=True, name=name, size_bytes=size, digest=inner))
            else:
                entries.append(Entry(False, name, child.size_bytes, bytes.fromhex(child.sha256) if child.sha256 else None))
        return folder_digest(entries), sum(entry.size_bytes for entry in entries)

    return digest(tree)[0]


def test_the_database_computes_what_the_file_list_gives(published, disk, ben):
    files = {"/z.nc": "z", "/é/ü.txt": "umlaut", "/a/b/c/deep.nc": "deep", "/a/b2": "", "/a-b/x": "x", "/a/Z": "Z", "/a/a": "a"}
    version = published(files=files)
    assert bytes(version.digest) == rebuild(version)


def test_the_digest_follows_a_change_and_leaves_untouched_folders_alone(published, disk, ben):
    first = published(files={"/a/1.nc": "1", "/b/2.nc": "2", "/b/c/3.nc": "3"})
    disk.write("/sea/a/1.nc", "one", day=2)
    second = publishing.open_draft(first.dataset, user=ben)
    scan(second, disk, ben)
    second = publishing.publish(second, user=ben)
    assert bytes(second.digest) == rebuild(second)
    assert bytes(first.digest) == rebuild(first)
    assert second.digest_hex != first.digest_hex
    written = FolderState.objects.filter(folder__dataset=first.dataset, from_version=2).values_list("folder__path", flat=True)
    assert set(written) == {"/", "/a/"}
