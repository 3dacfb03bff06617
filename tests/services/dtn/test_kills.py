"""A node is killed in the few microseconds between an act on the disk and its record: made long here by the fault switch."""

import os

import pytest

from tests.services.dtn.conftest import new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20


@pytest.fixture
def ends(control, archive, campus, request):
    return new_collection(control, archive, request.node.name), new_collection(control, campus, request.node.name)


@pytest.mark.parametrize("sizes", [(10, 2000, 0, 70_000), (3 * MIB,), (40 * MIB,)], ids=["bundle", "one piece", "several pieces"])
def test_what_has_its_name_is_not_delivered_again(control, archive, campus, ends, sizes):
    (source, there), (destination, here) = ends
    for number, size in enumerate(sizes):
        (there / f"{number}.nc").write_bytes(os.urandom(size))
    campus.order_fault("unrecorded", delay_s=60)
    names = [f"/{number}.nc" for number in range(len(sizes))]
    order = control.order((archive.url, source), destination, [(name, name) for name in names])
    control.wait(lambda: len(list(here.glob("*.nc"))) == len(sizes))
    inodes = {path.name: path.stat().st_ino for path in here.glob("*.nc")}
    assert control.results(order) == []
    campus.kill()
    campus.start()
    end = control.wait_for_end(order)
    assert end["status"] == "SUCCEEDED"
    assert {path.name: path.stat().st_ino for path in here.iterdir()} == inodes
    assert sorted(result["destination_path"] for result in control.results(order)) == names
    assert end["counters"]["bytes_transferred"] == end["counters"]["bytes_checksummed"] == sum(sizes)
    assert end["counters"]["files_transferred"] == len(sizes)


def test_what_somebody_put_there_meanwhile_is_replaced_as_asked(control, archive, campus, ends):
    """Another file under the same name is not taken for ours."""
    (source, there), (destination, here) = ends
    (there / "a.nc").write_bytes(b"ours")
    campus.order_fault("unrecorded", delay_s=60)
    order = control.order((archive.url, source), destination, [("/a.nc", "/a.nc")])
    control.wait((here / "a.nc").exists)
    campus.kill()
    (here / "other").write_bytes(b"else")
    (here / "other").rename(here / "a.nc")
    campus.start()
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert (here / "a.nc").read_bytes() == b"ours"


def test_what_was_deleted_is_not_a_missing_file_afterwards(control, campus, request):
    collection, here = new_collection(control, campus, request.node.name)
    for name in ("a", "b"):
        (here / name).write_text(name)
    campus.order_fault("unrecorded", delay_s=60)
    order = control.order(None, collection, ["/a", "/b"], kind="delete")
    control.wait(lambda: not (here / "a").exists())
    campus.kill()
    campus.start()
    end = control.wait_for_end(order)
    assert (end["status"], end["counters"]["files_transferred"]) == ("SUCCEEDED", 2)
    assert list(here.iterdir()) == []
