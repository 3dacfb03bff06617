"""What `script/bench` prints can be read by programs, and it leaves nothing behind; how fast anything is, is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def test_bytes_pass_the_local_globus_by_and_the_bench_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "services.embedded.bench", "transfer", "--quick", "--only", "through_control", "--data", str(tmp_path)]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    (row,) = [json.loads(line) for line in ran.stdout.splitlines()]
    assert set(row) == {"name", "ours", "against", "ratio", "goal", "unit", "runs", "note"}
    assert (row["goal"], row["unit"], row["runs"]) == ("<1", "%", 1)
    assert 0 < row["ours"] < 1
    assert "tcp " in row["note"]
    assert list(tmp_path.iterdir()) == []
