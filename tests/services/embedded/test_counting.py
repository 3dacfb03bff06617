import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.embedded.counting import count_bytes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    noted = [("web", 100), ("dtn-campus", 200), ("worker", 300), ("web", 101)]
    (folder / "history.jsonl").write_text("".join(json.dumps({"name": name, "group": group, "pid": group}) + "\n" for name, group in noted))
    return folder


TEN, ELEVEN, TWELVE = (f"2026-01-01T{hour}:00:00Z" for hour in (10, 11, 12))


def connection(peer: str, group: int | None, *, data: int = 0, opened: str = TEN, closed: str | None = TEN) -> str:
    process = None if group is None else {"pid": group + 1, "group": group, "command": "some program"}
    counted = {"data_bytes_in": 0, "data_bytes_out": data, "control_bytes_in": 5, "control_bytes_out": 0}
    return json.dumps({"opened": opened, "closed": closed, "peer": peer, "process": process, **counted}) + "\n"


def sums(journal: Path, run: Path, **more: Any) -> dict[str, int]:
    return {one.who: one.data_bytes for one in count_bytes([journal], run, **more)}


def test_bytes_are_summed_by_the_service_of_the_peers_group(tmp_path, run):
    journal = tmp_path / "connections.jsonl"
    journal.write_text(
        connection("a:1", 200, data=7) + connection("a:2", 200, data=5) + connection("a:3", 300) + connection("a:4", 999, data=3)
    )
    assert sums(journal, run) == {"dtn-campus": 12, "worker": 0, "other: some program": 3}


def test_service_is_known_by_every_group_that_it_had(tmp_path, run):
    journal = tmp_path / "connections.jsonl"
    journal.write_text(connection("a:1", 100, data=7) + connection("a:2", 101, data=5))
    [web] = count_bytes([journal], run)
    assert (web.who, web.data_bytes, web.is_control_plane) == ("web", 12, True)


def test_peer_without_a_process_could_be_the_portal(tmp_path, run):
    journal = tmp_path / "connections.jsonl"
    journal.write_text(connection("a:1", None, data=7))
    [nobody] = count_bytes([journal], run)
    assert nobody.is_control_plane


def test_last_line_of_a_connection_counts_and_a_reused_port_is_another_connection(tmp_path, run):
    journal = tmp_path / "connections.jsonl"
    journal.write_text(
        connection("a:1", 200, data=7, opened=TEN, closed=None)
        + connection("a:1", 200, data=9, opened=TEN, closed=None)
        + connection("a:1", 200, data=11, opened=TEN)
        + connection("a:1", 200, data=100, opened=ELEVEN, closed=None)
    )
    assert sums(journal, run) == {"dtn-campus": 111}


def test_what_ended_before_the_start_does_not_count(tmp_path, run):
    journal = tmp_path / "connections.jsonl"
    journal.write_text(connection("a:1", 100, data=7) + connection("a:2", 100, data=5, closed=TWELVE))
    assert sums(journal, run, since=datetime(2026, 1, 1, 11, tzinfo=UTC)) == {"web": 5}
