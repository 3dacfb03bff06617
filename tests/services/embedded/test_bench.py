"""What `script/bench` prints can be read by programs, and it leaves nothing behind; how fast anything is, is not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded.bench.delaybox import Direction

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).parents[3]


def test_bytes_pass_the_local_globus_by_and_the_bench_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "services.embedded.bench", "transfer", "--quick", "--only", "through_control", "--data", str(tmp_path)]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    row, each = [json.loads(line) for line in ran.stdout.splitlines()]
    assert set(row) == set(each) == {"name", "ours", "against", "ratio", "goal", "unit", "runs", "note"}
    assert (row["goal"], row["unit"], row["runs"]) == ("<1", "%", 1)
    assert 0 < row["ours"] < 1
    assert (each["unit"], 0 < each["ours"] < 1024) == ("bytes", True)
    assert "tcp " in row["note"]
    assert list(tmp_path.iterdir()) == []


def test_a_line_delays_loses_and_holds_to_its_rate_and_queue():
    for line, until, n_bytes in [
        ({"one_way_s": 0.01}, 100.005, 0),
        ({"one_way_s": 0.01}, 100.02, 10_000),
        ({"one_way_s": 0.01, "loss": 1.0}, 200, 0),
        ({"one_way_s": 0.01, "bytes_per_s": 100_000}, 100.0301, 2_000),  # 10 ms for each after the other
        ({"one_way_s": 0.01, "bytes_per_s": 100_000, "queue_bytes": 4_500}, 200, 4_000),
    ]:
        out, into = os.pipe()
        direction = Direction(into=-1, out=into, **{"loss": 0.0, "bytes_per_s": 0.0, "queue_bytes": 1 << 20, **line})
        for number in range(10):
            direction.take(bytes([number]) * 1000, 100.0)
        direction.deliver(until)
        os.close(into)
        with os.fdopen(out, "rb") as delivered:
            assert len(delivered.read()) == n_bytes, line


def test_the_ceiling_of_a_path_is_told_in_seconds_or_not_at_all():
    program, address = [sys.executable, "-m", "services.embedded.bench.ceiling"], f"127.0.13.{os.getpid() % 250 + 1}"
    each = [address, "3000000", "--streams", "2"]
    with subprocess.Popen([*program, "send", *each], cwd=CHECKOUT, stdout=subprocess.PIPE) as sender:
        try:
            assert sender.stdout.readline() == b"ready\n"
            taken = subprocess.run([*program, "take", *each], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
            assert float(taken.stdout) > 0
            short = subprocess.run(
                [*program, "take", address, "4000000"], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
            )
            assert "broke off" in short.stderr
        finally:
            sender.kill()
