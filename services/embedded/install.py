"""Makes `.venv` and installs what a lock file says, with a line of progress; run by script/* with any Python >= 3.11.

    python services/embedded/install.py requirements.lock [requirements-dev.lock]

The last lock file is installed; the ones before it are contained in it. Nothing happens when that was done before.
Standard library only, and nothing of this package: it runs before anything is installed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "installed-locks"
LOG = VENV / "install.log"


def main(names: list[str]) -> int:
    locks = [CHECKOUT / name for name in names]
    stamps = [stamp_of(lock) for lock in locks]
    if works() and STAMPS.exists() and stamps[-1] in STAMPS.read_text().split():
        return 0
    if not works():
        print(f"making {VENV} ...", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            print(made.stdout + made.stderr, file=sys.stderr)
            return 1
    STAMPS.unlink(missing_ok=True)
    if install(locks[-1]) != 0:
        print(f"installing failed; the last lines of {LOG}:", file=sys.stderr)
        print("\n".join(LOG.read_text().splitlines()[-15:]), file=sys.stderr)
        return 1
    STAMPS.write_text("\n".join(stamps) + "\n")
    return 0


def install(lock: Path) -> int:
    """Run pip; show how far it is, keep its own words in a file. The lock is complete, so pip resolves nothing."""
    total = len(re.findall(r"^[A-Za-z0-9]\S*==", lock.read_text(), re.MULTILINE))
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--prefer-binary", "--no-deps", "-r", str(lock)]
    command += ["--progress-bar", "off", "--disable-pip-version-check", "--no-input"]
    seen = 0
    with LOG.open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            log.write(line)
            if re.match(r"(Collecting|Requirement already satisfied)", line):
                seen += 1
                tell(f"fetching packages: {seen} of about {total}", is_milestone=seen % 20 == 0)
            elif line.startswith("Installing collected packages"):
                tell("installing packages ...", is_milestone=True)
    tell(f"packages of {lock.name} are installed" if pip.returncode == 0 else "pip failed", is_last=True)
    return pip.returncode


def tell(words: str, *, is_last: bool = False, is_milestone: bool = False) -> None:
    """One line that is written over on a terminal; elsewhere its milestones and its end."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{words}", end="\n" if is_last else "", flush=True)
    elif is_last or is_milestone:
        print(words, flush=True)


def works() -> bool:
    """Is there a virtual environment whose Python still runs?"""
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", "import pip"], check=False, capture_output=True).returncode == 0


def stamp_of(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
