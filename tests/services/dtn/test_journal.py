"""What an order's journal says of results: in numbered batches, each file once, whatever is killed in between."""

import hashlib
from types import SimpleNamespace

import pytest

from services.dtn.entries import leads_out
from services.dtn.errors import InvalidPathError
from services.dtn.journal import BATCH_ROWS, FileEntry, Item, Journal
from services.dtn.paths import Root
from services.dtn.posix import PosixStorage
from services.dtn.pulling_large import LargeFile, LargeFiles

ITEM = Item(0, "/from/", "/to/", is_recursive=True, checksum=None)


@pytest.fixture
def opened(tmp_path):
    """Opens the journal, anew as often as it is called: what a process that was killed did not close."""
    journals = []

    def open_it():
        journals.append(Journal(tmp_path / "order.sqlite3"))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


def note(journal, names):
    journal.add_items([ITEM])
    journal.add_entries(ITEM, [("file", f"/from/{name}", f"/to/{name}", 1, 0, None) for name in names])


def bring(journal, most=10_000):
    """Ends pending files as transferred; their digests are those of their paths."""
    entries = journal.pending(after=0, limit=most)
    journal.end_many(((entry, hashlib.sha256(entry.source_path.encode()).hexdigest()) for entry in entries), landing=0)


def told(journal, last_accepted=0):
    """All batches, accepted as they come: (number, source paths)."""
    found = []
    while (batch := journal.next_batch(last_accepted=last_accepted)) is not None:
        paths = [folder["source_folder"] + file[0] for folder in batch.arrived for file in folder["files"]]
        found.append((batch.number, paths + [one["source_path"] for one in batch.results]))
        journal.accept(batch.number)
    return found


def test_every_file_is_in_one_batch_of_at_most_a_thousand_and_numbers_have_no_gaps(opened):
    journal = opened()
    names = [f"{number:04}" for number in range(BATCH_ROWS * 2 + 300)]
    note(journal, names)
    bring(journal, most=700)
    bring(journal, most=1100)
    (one,) = journal.pending(after=0, limit=1)
    journal.end(one, "failed", code="FILE_NOT_FOUND", details="gone")
    journal.fail_pending(code="EXPIRED", details="late")
    batches = told(journal)
    assert [number for number, _ in batches] == list(range(1, len(batches) + 1))
    assert max(len(paths) for _, paths in batches) <= BATCH_ROWS
    assert sorted(path for _, paths in batches for path in paths) == [f"/from/{name}" for name in names]


def test_what_a_landing_notes_is_found_by_the_next_process_with_what_was_not_known_before(opened):
    journal = opened()
    note(journal, ["known", "with\0nothing", '\u00fc "new" \\'])
    files = journal.pending(after=0, limit=10)
    assert [one.destination_path for one in files] == ["/to/known", "/to/with\0nothing", '/to/\u00fc "new" \\']
    files[2].size, files[2].mtime_ns, files[2].has_news = 77, 1_790_000_000_123_456_789, True
    journal.begin_landing([(one, "d" * 64, "") for one in files])
    again = opened()
    found = again.interrupted()
    assert [(one.size, one.mtime_ns, digest, mark) for one, digest, mark in found] == [
        (1, 0, "d" * 64, ""), (1, 0, "d" * 64, ""), (77, 1_790_000_000_123_456_789, "d" * 64, ""),
    ]  # fmt: skip
    again.end_many(((one, digest) for one, digest, _ in found), landing=1)
    assert again.interrupted() == []
    batch = again.next_batch(last_accepted=0)
    assert [folder["files"] for folder in batch.arrived] == [[(one.source_path[6:], one.size, "d" * 64) for one, _, _ in found]]
    assert again.count().bytes_transferred == 79


@pytest.mark.parametrize("left", ["nothing", "part", "other"])
def test_a_file_without_a_mark_is_in_its_place_when_its_unfinished_name_is_gone_and_its_bytes_are_there(tmp_path, left):
    (tmp_path / "a").write_bytes(b"else" if left == "other" else b"ours")
    part = ".a.0123456789ab.part"
    if left == "part":
        (tmp_path / part).write_bytes(b"ours")
    storage = PosixStorage(Root(tmp_path))
    assert storage.is_in_place("/a", mark=part, digest=hashlib.sha256(b"ours").hexdigest()) is (left == "nothing")


def test_a_batch_is_the_same_until_it_is_accepted_also_for_the_next_process(opened):
    journal = opened()
    note(journal, ["a", "b"])
    bring(journal, most=1)
    sent = journal.next_batch(last_accepted=0)
    bring(journal)
    assert journal.next_batch(last_accepted=0) == sent
    again = opened()
    assert again.next_batch(last_accepted=0) == sent
    assert told(again, last_accepted=sent.number) == [(2, ["/from/b"])]  # control had it, and was killed before it could say so


def test_a_batch_that_may_have_been_sent_takes_nothing_more(opened):
    note(opened(), ["a", "b"])
    bring(opened(), most=1)
    later = opened()
    bring(later)
    assert told(later) == [(1, ["/from/a"]), (2, ["/from/b"])]


def test_results_that_a_former_version_left_without_a_number_are_told(opened, tmp_path):
    journal = opened()
    note(journal, ["a", "b"])
    bring(journal)
    journal._run("UPDATE entry SET sequence = NULL")
    assert told(opened()) == [(1, ["/from/a", "/from/b"])]


@pytest.mark.parametrize("has_heard", [False, True])
def test_a_batch_that_a_former_version_sent_keeps_its_number_and_is_not_told_twice(opened, has_heard):
    journal = opened()
    note(journal, ["a", "b", "c"])
    bring(journal, most=2)
    journal._run("UPDATE entry SET sequence = id WHERE status = 'transferred'")  # it gave the numbers as it sent
    journal._run("CREATE INDEX entry_unsent ON entry (id) WHERE sequence IS NULL")
    journal.accept(1)
    again = opened()
    bring(again)
    later = [(3, ["/from/c"])]
    assert told(again, last_accepted=2 if has_heard else 1) == (later if has_heard else [(2, ["/from/b"]), *later])


@pytest.mark.parametrize(
    ("path", "target", "is_out"),
    [
        ("/a/link", "b", False), ("/a/b/link", "../c", False), ("/a/link", "./b//c", False), ("/a/link", "b/../c", True),
        ("/a/link", "..", True), ("/a/b/link", "../../c", True), ("/a/link", "/a/b", True), ("/a/link", "b\nc", True),
        ("/a/link", "b/../../c", True), ("/a/b/link", ".././c/./d", False), ("/a/b/link", "./..", False), ("/a/././link", "..", True),
    ],
)  # fmt: skip
def test_a_link_is_kept_where_it_stays_in_the_folder(path, target, is_out):
    assert leads_out("/a/", path, target) is is_out


def test_no_chain_of_links_leads_out_of_the_folder(tmp_path):
    (tmp_path / "to/deep/er").mkdir(parents=True)
    storage = PosixStorage(Root(tmp_path))
    for path, target in (("/to/b", "."), ("/to/deep/er/top", "../.."), ("/to/plain", "deep/er")):
        storage.make_link(path, target, top="/to/")
    for path, target in (("/to/out", "b/.."), ("/to/deep/er/top/out", "../.."), ("/to/deep/.//./out", "../.."), ("/out", "to")):
        with pytest.raises(InvalidPathError):
            storage.make_link(path, target, top="/to/")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "deep", "er", "plain", "to", "top"]


def test_what_came_in_longer_pieces_is_not_fetched_again():
    mib = 1 << 20
    state = SimpleNamespace(piece_bytes=lambda _: 4 * mib, source=SimpleNamespace(n_streams=8))
    entry = FileEntry(1, "/a", "/a", 25 * mib, None, None, None)
    large = LargeFile(entry, SimpleNamespace(is_readable=True), {0: 16 * mib, 20 * mib: 4 * mib})
    assert LargeFiles(state)._missing(large) == [(16 * mib, 4 * mib), (24 * mib, mib)]
