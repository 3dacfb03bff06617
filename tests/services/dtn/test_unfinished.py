"""What a copy leaves that does not come to its end: cancelled, past its deadline, of a file that never comes. Nothing unfinished."""

import os
from datetime import UTC, datetime

import pytest

from tests.services.dtn.conftest import new_collection
from tests.services.dtn.test_copies import MIB, ends, fill, left_over, requests_for

pytestmark = pytest.mark.long

__all__ = ["ends"]  # a fixture


def test_cancel_ends_the_copy_and_leaves_nothing_unfinished(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 128 * MIB)
    archive.order_fault("get", after_bytes=40 * MIB, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: left_over(here))
    control.actions[order] = "cancel"
    assert control.wait_for_end(order)["fatal_error"]["code"] == "CANCELED"
    control.wait(lambda: not left_over(here))
    assert not (here / "big.nc").exists()


@pytest.mark.parametrize("is_local", [True, False])
def test_the_deadline_ends_a_copy_in_the_middle_and_leaves_nothing(control, archive, ends, request, is_local):
    (source, there), (destination, here) = ends
    if is_local:
        destination, here = new_collection(control, archive, request.node.name)
    fill(there / "big.nc", 64 * MIB)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")], most_bytes_per_s=2 * MIB)
    control.wait(lambda: left_over(here))
    control.deadlines[order] = datetime.now(UTC)
    end = control.wait_for_end(order)
    assert (end["status"], end["fatal_error"]["code"]) == ("FAILED", "EXPIRED")
    assert list(here.iterdir()) == []


@pytest.fixture
def half_done(control, archive, ends):
    """A large file of which a part has come; the source says that it is busy until its faults are cleared."""
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 40 * MIB)
    archive.order_fault("get", drop=True, after_bytes=20 * MIB)
    archive.order_fault("get", times=10_000, error={"http_status": 503, "code": "Busy", "message": "busy"})
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")], skip_source_errors=True)
    control.wait(lambda: "ENDPOINT_ERROR" in control.faults(order))
    assert left_over(here)
    return order, there / "big.nc", here


def test_a_half_copied_file_that_is_passed_over_leaves_nothing(control, archive, half_done):
    order, original, here = half_done
    original.unlink()
    archive.clear_faults()
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert [(one["status"], one["error_code"]) for one in control.results(order)] == [("skipped", "FILE_NOT_FOUND")]
    assert list(here.iterdir()) == []


def test_a_half_copied_file_that_can_never_come_leaves_nothing(control, archive, half_done):
    order, original, here = half_done
    original.unlink()
    original.mkdir()
    archive.clear_faults()
    assert control.wait_for_end(order)["fatal_error"]["code"] == "IsDirectory"
    assert list(here.iterdir()) == []


def test_what_a_cancelled_order_left_on_a_node_that_was_down_is_swept_after_a_week(control, archive, campus, ends):
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 64 * MIB)
    archive.order_fault("get", after_bytes=40 * MIB, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: left_over(here))
    campus.kill()
    control.leases[order] = "nobody: cancelled meanwhile"
    campus.start()
    assert left_over(here)
    campus.stop()
    journal = campus.state / "orders" / f"{order}.sqlite3"
    os.utime(journal, (1, 1))
    campus.start()
    assert left_over(here) == []
    assert not journal.exists()


def test_a_cancel_does_not_wait_for_a_source_that_stalls(control, archive, ends):
    (source, there), (destination, here) = ends
    fill(there / "big.nc", 64 * MIB)
    archive.order_fault("get", after_bytes=20 * MIB, delay_s=60)
    order = control.order((archive.url, source), destination, [("/big.nc", "/big.nc")])
    control.wait(lambda: control.heartbeats[order] and control.heartbeats[order][-1]["counters"]["bytes_transferred"] == 20 * MIB)
    control.actions[order] = "cancel"
    end = control.wait_for_end(order)
    assert (end["fatal_error"]["code"], end["counters"]["faults"]) == ("CANCELED", 0)
    assert requests_for(archive, f"/{source}/big.nc") == [], "the source still stalls"
    control.wait(lambda: not left_over(here))
