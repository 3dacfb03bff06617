"""localglobus and its nodes, as for transfers."""

from tests.services.localglobus.transfer.conftest import folder, own_sites, running_sites, sites  # noqa: F401 (fixtures)
