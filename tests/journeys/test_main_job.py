"""The main job from end to end, as `script/demo --check` walks it, and its count of data bytes."""

from services.embedded.check import Check, run_check
from services.embedded.main_job import STEPS


def test_the_main_job_works_and_no_data_byte_passes_the_control_plane(check: Check, capsys):
    status = run_check(check, STEPS)
    told = capsys.readouterr().out
    assert status == 0, told
    assert "main job: ok" in told
    assert "0 data bytes passed the portal" in told
