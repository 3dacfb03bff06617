"""The engine `gridftp`: real GridFTP servers (Grid Community Toolkit), started by the nodes for each order."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.conftest import require_program
from tests.services.dtn.conftest import new_collection

ODD_NAMES = (
    "plain", "with space", " leading", "trailing ", "a,b;c:d", "quo\"te's", "per%41cent", "star*?[z]", "back\\slash", "ünï-日本", "$HOME~",
    "-dash", "#hash", "tab\tbed", "type=dir;size=9; x", "x" * 255, "e",
)  # fmt: skip


@pytest.fixture(autouse=True)
def servers_are_installed():
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")


@pytest.fixture
def ends(control, archive, campus, request):
    """A collection on each node: ((source node's url, id), folder, id, folder)."""
    source, source_folder = new_collection(control, archive, request.node.name)
    target, target_folder = new_collection(control, campus, request.node.name)
    return (archive.url, source), source_folder, target, target_folder


def fill(folder, n_bytes=20_000):
    for name in ODD_NAMES:
        (folder / name).write_bytes(os.urandom(n_bytes))
    (folder / "empty").write_bytes(b"")
    (folder / "sub [dir] $USER, é").mkdir()
    (folder / "sub [dir] $USER, é" / "deep").mkdir()
    (folder / "sub [dir] $USER, é" / "deep" / "x y").write_bytes(os.urandom(n_bytes))
    (folder / "no files").mkdir()


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def servers_of(node):
    """Command lines of the GridFTP servers that run below a node's state."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = status.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "gridftp-server" in words[0] and any(word.startswith(str(node.state)) for word in words):
            found.append(" ".join(words))
    return found


def test_a_tree_with_odd_names_arrives_verified(control, ends):
    source, source_folder, target, target_folder = ends
    fill(source_folder)
    os.utime(source_folder / "plain", (1_700_000_000, 1_700_000_000))
    order = control.order(source, target, [("/", "/copy/", True)], engine="gridftp", preserve_timestamp=True)
    end = control.wait_for_end(order, 60)
    assert end["status"] == "SUCCEEDED", end
    assert tree(target_folder / "copy") == tree(source_folder)
    results = {result["source_path"]: result for result in control.results(order)}
    assert len(results) == len(control.results(order)) == len(ODD_NAMES) + 2
    for path, result in results.items():
        assert result["checksum"] == hashlib.sha256((source_folder / path[1:]).read_bytes()).hexdigest()
    assert end["counters"]["files_transferred"] == len(results)
    assert end["counters"]["bytes_transferred"] == end["counters"]["bytes_checksummed"] == (len(ODD_NAMES) + 1) * 20_000
    assert (target_folder / "copy/plain").stat().st_mtime == 1_700_000_000
