"""Every way of paging, by the SDK's own paginators and by hand: put together, the pages are the list, whatever their size."""

import shutil
import uuid

import pytest
from globus_sdk import TransferAPIError, TransferData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.localglobus.store import connect
from services.localglobus.transfer.task_routes import MARKER_PAGE
from tests.services.localglobus.conftest import use

pytestmark = pytest.mark.long

N_FILES = MARKER_PAGE + 30
sizes = st.integers(1, 40)
bounded = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def copied(running_sites):
    """`(client, task)`: a task with more files than any page has by default, some of which are not there."""
    with pytest.MonkeyPatch.context() as patch:
        use(running_sites.globus, patch)
        yield from copy_many(running_sites)


def copy_many(sites):
    folder = sites.root("archive") / "shares" / f"paging-{uuid.uuid4().hex}"
    (folder / "from").mkdir(parents=True)
    for number in range(N_FILES):
        (folder / "from" / f"{number:04}.txt").write_text(str(number))
    demo, share = sites.service("demo"), sites.collection("share")
    wanted = TransferData(share, share, skip_source_errors=True)
    wanted.add_item(f"/{folder.name}/from/", f"/{folder.name}/to/", recursive=True)
    for number in range(7):
        wanted.add_item(f"/{folder.name}/none-{number}", f"/{folder.name}/none-{number}")
    try:
        task = demo.submit_transfer(wanted)["task_id"]
        assert demo.task_wait(task, timeout=200, polling_interval=1)
        yield demo, task
    finally:
        shutil.rmtree(folder)


def by_marker(get, **query):
    """All rows, and how many pages they came in."""
    rows, marker, n_pages = [], None, 0
    while n_pages < 1000:
        page = get(marker=marker, query_params=query)
        rows += page["DATA"]
        n_pages += 1
        marker = page["next_marker"]
        if marker is None:
            return rows, n_pages
    raise AssertionError("the pages have no end")


def test_successful_transfers_come_by_marker(copied):
    demo, task = copied
    rows, n_pages = by_marker(lambda **query: demo.task_successful_transfers(task, **query))
    assert n_pages > 1
    names = [row["source_path"].rpartition("/")[2] for row in rows]
    assert sorted(names) == [f"{number:04}.txt" for number in range(N_FILES)]
    assert [row["source_path"] for row in demo.paginated.task_successful_transfers(task).items()] == [row["source_path"] for row in rows]


def test_skipped_errors_come_by_marker(copied):
    demo, task = copied
    rows, _ = by_marker(lambda **query: demo.task_skipped_errors(task, **query))
    assert len({row["source_path"] for row in rows}) == len(rows) == 7
    assert [row["source_path"] for row in demo.paginated.task_skipped_errors(task).items()] == [row["source_path"] for row in rows]


@pytest.mark.parametrize("marker", ["x", "-1", "9" * 5000, "é", "1,2"])
def test_a_marker_that_no_page_gave_is_refused_or_the_end(copied, marker):
    demo, task = copied
    try:
        page = demo.task_successful_transfers(task, marker=marker)
    except TransferAPIError as refused:
        assert refused.http_status == 400  # noqa: PT017 (either is right)
    else:
        assert len(page["DATA"]) <= N_FILES


@bounded
@given(sizes)
def test_events_tasks_and_endpoints_come_by_offset(copied, size):
    demo, task = copied
    for get in (
        lambda **query: demo.task_event_list(task, **query),
        lambda **query: demo.task_list(query_params={"orderby": "request_time DESC"}, **query),
        lambda **query: demo.endpoint_search("Causeway", **query),
    ):
        whole = [*get(limit=100)]
        rows, offset = [], 0
        while part := [*get(limit=size, offset=offset)]:
            assert len(part) <= size
            rows += part
            offset += len(part)
        assert [row.get("task_id") or row.get("id") or row["time"] for row in rows] == [
            row.get("task_id") or row.get("id") or row["time"] for row in whole
        ]


@bounded
@given(sizes, st.sampled_from(["name ASC", "name DESC", "size ASC,name DESC"]))
def test_a_folder_comes_in_parts(copied, running_sites, size, order):
    demo, task = copied
    with_files = demo.task_successful_transfers(task)["DATA"][0]["source_path"].rpartition("/")[0]
    share = running_sites.collection("share")
    whole = [entry["name"] for entry in demo.operation_ls(share, path=with_files, orderby=order)]
    assert len(whole) == N_FILES
    parts, offset = [], 0
    while True:
        page = demo.operation_ls(share, path=with_files, orderby=order, limit=size * 40, offset=offset)
        assert page["total"] == N_FILES
        parts += [entry["name"] for entry in page]
        offset += size * 40
        if not page["DATA"]:
            break
    assert parts == whole


def test_the_store_is_sound_after_all_this(copied, running_sites):
    connection = connect(running_sites.globus.data / "localglobus.sqlite")
    assert connection.execute("pragma integrity_check").fetchone()[0] == "ok"
    assert connection.execute("pragma foreign_key_check").fetchall() == []
    connection.close()
