"""Folders that become files: what is asked for again when some of it could not be read."""

from types import SimpleNamespace

import pytest

from services.dtn.expanding import expand
from services.dtn.journal import Item, Journal
from services.dtn.paths import Root
from services.dtn.posix import PosixStorage
from services.dtn.progress import Options, Progress

TOP = {"path": "/from/", "type": "dir"}
DEEP = {"path": "/from/deep/", "type": "dir"}
UP = {"path": "/from/deep/up", "type": "link", "link_target": "../a"}
AWAY = {"path": "/from/deep/", "error": {"http_status": 503, "code": "Unavailable", "message": "not now"}}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "order.sqlite3")
    journal.add_items([Item(0, "/from/", "/to/", is_recursive=True, checksum=None)])
    yield journal
    journal.close()


def test_a_link_may_lead_up_out_of_a_folder_that_could_not_be_read_at_first(journal, tmp_path):
    walks = iter([[TOP, AWAY], [TOP, DEEP, UP]])
    rests = []
    state = SimpleNamespace(
        journal=journal, progress=Progress(journal), options=Options.read({"recursive_symlinks": "keep"}), made_folders={},
        source=SimpleNamespace(walk=lambda *_, **__: iter(next(walks))), storage=PosixStorage(Root(tmp_path)),
        schedule=SimpleNamespace(wake=lambda: None), passes_over=lambda _: False, raise_if_stopped=lambda: None, rest=rests.append,
    )  # fmt: skip
    expand(state, lambda: None)
    assert len(rests) == 1
    assert str((tmp_path / "to/deep/up").readlink()) == "../a"
    assert journal.first_failure() is None
    assert (journal.count().directories, journal.items(only_unexpanded=True)) == (2, [])
