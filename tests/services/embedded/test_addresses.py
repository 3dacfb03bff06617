import os
import socket
import subprocess
import sys

import pytest

from services.embedded.addresses import Addresses, PortInUseError, free_port


def test_every_process_has_an_address_of_its_own():
    here = Addresses(8000)
    hosts = [address.split("/")[2] for address in (here.web, here.localglobus, here.archive, here.campus, here.graph)]
    assert len({host.split(":")[0] for host in hosts}) == len(hosts)


@pytest.mark.parametrize(
    ("host", "offset", "name"), [("127.0.0.1", 0, "web"), ("127.0.0.2", 2, "GCS Manager of campus"), ("127.0.0.4", 0, "dtn-campus")]
)
def test_port_in_use_names_the_service_the_port_and_the_remedy(host, offset, name):
    port = free_port()
    with socket.socket() as taken:
        taken.bind((host, port + offset))
        taken.listen()
        with pytest.raises(PortInUseError, match=rf"{name}.* port {port + offset} on {host}.*--port"):
            Addresses(port).require_free()


def test_portals_addresses_do_not_matter_to_the_local_globus_alone():
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        Addresses(port).require_free(with_portal=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names that end with their process are Linux's")
def test_a_port_is_another_processs_only_when_this_one_has_ended():
    port = free_port()
    code = f"import sys; from services.embedded.addresses import _reserve; sys.exit(_reserve({port}))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
    code = code.replace(str(port), str(10**6 + os.getpid()))
    assert [subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode for _ in range(2)] == [1, 1]
