"""A file with another hard link, which may lie outside of the collection: refused over HTTPS and in copies; read where that is meant."""

import pytest

from tests.services.dtn.conftest import NodeProcess, new_collection

ADA = {"Authorization": "Bearer ada-token"}


def link_in(folder, tmp_path):
    """A collection's file whose other name is outside of it, and one of its own."""
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "set").mkdir()
    (folder / "set" / "linked.txt").hardlink_to(tmp_path / "outside.txt")
    (folder / "set" / "own.txt").write_text("own")


def test_it_is_listed_and_not_read(control, archive, files, tmp_path):
    collection, folder = files
    link_in(folder, tmp_path)
    control.grant(collection, "ada-token", ("/", "rw"))
    with archive.client() as client:
        refused = client.get(f"/{collection}/set/linked.txt", headers=ADA)
        assert (refused.status_code, "hard links" in refused.json()["message"]) == (403, True)
        assert client.get(f"/{collection}/set/own.txt", headers=ADA).text == "own"
        assert client.delete(f"/{collection}/set/linked.txt", headers=ADA).status_code == 204
    assert (tmp_path / "outside.txt").read_text() == "outside"


@pytest.mark.parametrize("is_local", [True, False])
def test_copies_leave_it_out_and_say_so(control, archive, campus, files, tmp_path, request, is_local):
    collection, folder = files
    link_in(folder, tmp_path)
    destination, here = new_collection(control, archive if is_local else campus, request.node.name)
    order = control.order((archive.url, collection), destination, [("/set/", "/set/", True)], skip_source_errors=True)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    told = {one["source_path"]: (one["status"], one["error_code"]) for one in control.results(order)}
    assert told == {"/set/linked.txt": ("skipped", "PERMISSION_DENIED"), "/set/own.txt": ("transferred", None)}
    assert [path.name for path in (here / "set").iterdir()] == ["own.txt"]


@pytest.mark.parametrize(("level", "is_large"), [(0, False), (3, False), (3, True)])
def test_at_a_destination_it_is_replaced_where_the_sync_level_asks_what_is_in_it(
    control, archive, campus, files, tmp_path, request, level, is_large
):
    collection, folder = files
    destination, here = new_collection(control, campus, request.node.name)
    content, old = (b"inside", b"beside") if not is_large else (b"i" * (2 << 20), b"b" * (2 << 20))
    (folder / "a").write_bytes(content)
    (tmp_path / "outside").write_bytes(old)
    (here / "a").hardlink_to(tmp_path / "outside")
    order = control.order((archive.url, collection), destination, [("/a", "/a")], sync_level=level)
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert control.faults(order) == []
    assert (here / "a").read_bytes() == (content if level else old)
    assert (tmp_path / "outside").read_bytes() == old


def test_it_is_replaced_without_touching_the_other_name(control, archive, files, tmp_path):
    collection, folder = files
    link_in(folder, tmp_path)
    control.grant(collection, "ada-token", ("/", "rw"))
    with archive.client() as client:
        assert client.put(f"/{collection}/set/linked.txt", content=b"new", headers=ADA).status_code == 204
    assert (folder / "set" / "linked.txt").read_text() == "new"
    assert (tmp_path / "outside.txt").read_text() == "outside"


def test_the_administrator_may_say_that_they_are_meant(control, tmp_path):
    node = NodeProcess(control, tmp_path, "linked", options=("--hard-links",)).start()
    try:
        collection, folder = new_collection(control, node, "linked")
        link_in(folder, tmp_path)
        control.grant(collection, "ada-token", ("/", "rw"))
        with node.client() as client:
            assert client.get(f"/{collection}/set/linked.txt", headers=ADA).text == "outside"
    finally:
        node.stop()
