"""What tests of several services need of the machine."""

import contextlib
import shutil
import subprocess

import pytest


@pytest.fixture
def small_disk():
    """Makes a folder a disk of its own, of some MiB, until the test ends; where that is not permitted the test is skipped by name."""
    with contextlib.ExitStack() as mounted:

        def mount(folder, size_mib):
            command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", folder]
            if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
                pytest.skip("a file system cannot be mounted here (root in a container without CAP_SYS_ADMIN, or no root)")
            mounted.callback(subprocess.run, ["umount", "--lazy", folder], check=True)
            return folder

        yield mount
