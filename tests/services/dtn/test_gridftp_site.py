"""Nodes that are pointed at GridFTP servers which their site runs: these start none, and come in with the site's credential."""

import socket
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.dtn.gridftp_credentials import GridAuthority
from services.dtn.gridftp_servers import GridServer
from services.dtn.gridftp_site import SiteError, read_site
from tests.conftest import require_program
from tests.services.dtn.conftest import REPOSITORY, NodeProcess, new_collection

pytestmark = pytest.mark.long

HOST = "127.0.0.6"


@pytest.fixture
def site(tmp_path):
    """Two servers of a site, one per node's data folder, a user's credential, and the TOML files that tell nodes of them."""
    require_program("globus-gridftp-server", "apt-get install globus-gridftp-server-progs")
    authority = GridAuthority(tmp_path / "ca", "site")
    host, user = authority.host(HOST), authority.order("robot")
    credential = tmp_path / "robot.pem"
    credential.write_bytes(user.certificate.read_bytes() + user.key.read_bytes())
    credential.chmod(0o600)
    servers, files = [], {}
    for name in ("east", "west"):
        data = tmp_path / name
        data.mkdir()
        server = GridServer(
            tmp_path / f"server-{name}", host=HOST, identity=host, user=user.name, authorities=[authority.pem], paths=[("RW", f"{data}/")]
        )  # fmt: skip
        servers.append(server)
        files[name] = tmp_path / f"{name}.toml"
        files[name].write_text(f'server = "{HOST}:{server.port}"\ncredential = "{credential}"\ntrust = "{authority.file}"\n')
    yield files
    for server in servers:
        server.stop()


@pytest.fixture
def pointed(control, site, tmp_path):
    made = {}
    for name, file in site.items():
        (tmp_path / name).rmdir()
        made[name] = NodeProcess(control, tmp_path, name, options=("--faults", "--gridftp-site", file)).start()
    yield made
    for node in made.values():
        node.stop()


def test_a_copy_between_the_sites_own_servers(control, pointed):
    source, source_folder = new_collection(control, pointed["east"], "source")
    target, target_folder = new_collection(control, pointed["west"], "target")
    (source_folder / "a b").write_bytes(b"by the site's servers")
    order = control.order((pointed["east"].url, source), target, [("/", "/", True)], engine="gridftp")
    assert control.wait_for_end(order, 60)["status"] == "SUCCEEDED"
    assert (target_folder / "a b").read_bytes() == b"by the site's servers"
    for node in pointed.values():
        assert not (node.state / "gridftp" / "servers").exists()


def test_with_one_end_only_the_order_says_why(control, pointed, archive):
    source, source_folder = new_collection(control, archive, "source")
    target, _ = new_collection(control, pointed["west"], "target")
    (source_folder / "file").write_bytes(b"x")
    order = control.order((archive.url, source), target, [("/file", "/file")], engine="gridftp")
    control.wait(lambda: "ENDPOINT_ERROR" in control.faults(order))
    told = [beat["fault"]["description"] for beat in control.heartbeats[order] if beat["fault"]]
    assert "both are or none" in told[0]


@pytest.mark.parametrize("what", ["open to others", "encrypted", "another kind", "no key", "no certificate"])
def test_a_credential_that_could_not_be_used_is_told_at_the_start(tmp_path, what):
    authority = GridAuthority(tmp_path / "ca", "site")
    user = authority.order("robot")
    key = load_pem_private_key(user.key.read_bytes(), None) if what != "another kind" else ec.generate_private_key(ec.SECP256R1())
    lock = BestAvailableEncryption(b"secret") if what == "encrypted" else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, lock) if what != "no key" else b""
    credential, file = tmp_path / "robot.pem", tmp_path / "site.toml"
    credential.write_bytes(pem if what == "no certificate" else user.certificate.read_bytes() + pem)
    credential.chmod(0o644 if what == "open to others" else 0o600)
    file.write_text(f'server = "h:1"\ncredential = "{credential}"\ntrust = "{authority.file}"\n')
    with pytest.raises(SiteError, match=r"robot\.pem"):
        read_site(file, data=tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "server = 5", 'server = "host"\ncredential = "/x"\ntrust = "/y"', 'server = "h:1"\ncredential = "/none"\ntrust = "/"', "x = ["],
)
def test_a_file_that_does_not_say_enough(tmp_path, text):
    file = tmp_path / "site.toml"
    file.write_text(text)
    with pytest.raises(SiteError):
        read_site(file, data=tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.6", 0))
        url = f"https://127.0.0.6:{probe.getsockname()[1]}"
    secret = tmp_path / "secret"
    secret.write_text("x")
    command = ["--name", "x", "--data", tmp_path / "data", "--url", url, "--control", url, "--secret-file", secret, "--gridftp-site", file]
    ended = subprocess.run([sys.executable, "-m", "services.dtn", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert str(file) in ended.stderr
