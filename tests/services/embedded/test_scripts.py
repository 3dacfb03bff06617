import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted(path for path in [*(CHECKOUT / "script").iterdir(), CHECKOUT / ".ci" / "run"] if path.is_file())
LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_posix_shell_that_can_be_run(script):
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_names_versions_and_hashes_and_no_address(name):
    for line in (CHECKOUT / name).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ; .+?)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


def pins(name: str) -> set[str]:
    return set(re.findall(r"^(\S+==\S+)", (CHECKOUT / name).read_text(), re.MULTILINE))


def test_development_lock_contains_the_runtime_lock():
    assert pins(LOCKS[0]) <= pins(LOCKS[1])


def test_every_dependency_is_locked():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = [*project["dependencies"], *extras["services"], *extras["graph"], *extras["demo"]]
    wanted = {LOCKS[0]: runtime, LOCKS[1]: [*extras["test"], *extras["lint"]]}
    for name, dependencies in wanted.items():
        locked = {pin.split("==")[0].split("[")[0] for pin in pins(name)}
        assert {re.split(r"[^A-Za-z0-9._-]", dependency)[0].lower() for dependency in dependencies} <= locked


WITH_LARGE_NUMBERS = ("journeys/test_random_kills.py", "datasets/test_ingesting.py", "datasets/test_scanning.py", "datasets/test_files.py")


def collected(markers: str) -> str:
    """What pytest would run of the files of journeys and of the catalogue's tests that have large numbers."""
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly"]
    command = [*collect, "-m", markers, *(f"tests/{name}" for name in WITH_LARGE_NUMBERS)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_soak_adds_large_numbers_to_what_is_tested_always():
    script = (CHECKOUT / "script/test").read_text()
    always, large = re.findall(r"markers='(.+?)'", script)
    assert always == f"{large} and not soak"
    added, usual = collected(f"({large}) and soak"), collected(always)
    for name in WITH_LARGE_NUMBERS:
        assert f"{name}::" in added
        assert f"{name}::" in usual
    assert "[200]" in added
    assert "[200]" not in usual


def test_environment_is_made_once_and_again_when_the_lock_changes(tmp_path):
    program = tmp_path / "services" / "embedded" / "install.py"
    program.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "services" / "embedded" / "install.py", program)
    lock = tmp_path / "requirements.lock"
    lock.write_text("# nothing\n")

    def install() -> str:
        done = subprocess.run([sys.executable, str(program), lock.name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "packages of requirements.lock are installed" in install()
    assert (tmp_path / ".venv" / "bin" / "python").exists()
    assert install() == ""
    lock.write_text("# nothing yet\n")
    assert "making" not in install()
