"""Random kills while files go from server to server: the same demands as over HTTPS, and no server is left."""

import random

import pytest

from tests.conftest import require_program
from tests.services.dtn.conftest import grid_servers
from tests.services.dtn.test_gridftp_with_localglobus import set_of
from tests.services.localglobus.transfer.conftest import own_sites, wait_until
from tests.services.test_random_kills_of_nodes import ada, copy_and_delete, killing, original

pytestmark = pytest.mark.long

__all__ = ["ada", "original", "own_sites"]  # fixtures
N_KILLS = 6


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n_rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_every_file_arrives_once_whatever_is_killed(own_sites, ada, original, seed, n_rounds):
    """Rounds of kills, so that a task gets time to go on: servers are started and logged in to anew after each."""
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    for name in ("storage", "campus"):
        set_of(own_sites, name, engine="gridftp")
    dice, n_tasks = random.Random(seed), 0
    for _ in range(n_rounds):
        with killing(own_sites, dice, N_KILLS) as killer:
            while killer.is_alive():
                copy_and_delete(own_sites, ada, original, f"grid {n_tasks}")
                n_tasks += 1
        assert killer.n_left == 0
    wait_until(lambda: not list(grid_servers(own_sites.folder)))
