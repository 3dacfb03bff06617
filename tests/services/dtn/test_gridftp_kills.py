"""Random kills while files go from server to server: the same demands as over HTTPS, and no server is left."""

import random
from pathlib import Path

import pytest

from tests.conftest import require_program
from tests.services.dtn.test_gridftp_with_localglobus import set_of
from tests.services.localglobus.transfer.conftest import own_sites, wait_until
from tests.services.test_random_kills_of_nodes import ada, copy_and_delete, killing, original

__all__ = ["ada", "original", "own_sites"]  # fixtures


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_kills", [6, pytest.param(100, marks=pytest.mark.soak)])
def test_every_file_arrives_once_whatever_is_killed(own_sites, ada, original, seed, n_kills):
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    for name in ("storage", "campus"):
        set_of(own_sites, name, engine="gridftp")
    n_tasks = 0
    with killing(own_sites, random.Random(seed), n_kills) as killer:
        while killer.is_alive():
            copy_and_delete(own_sites, ada, original, f"grid {n_tasks}")
            n_tasks += 1
    assert killer.n_left == 0
    print(f"{n_tasks} copies through the kills of {dict(killer.killed)}")
    wait_until(lambda: not servers_below(own_sites.folder))


def servers_below(folder):
    words = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    return [line for line in words if b"gridftp-server" in line and bytes(folder) in line]
