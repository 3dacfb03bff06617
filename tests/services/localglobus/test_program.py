"""The program itself: what it writes, how it starts again after any end."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from services.localglobus.__main__ import read_arguments

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).parents[3]


def token(globus):
    form = {"grant_type": "client_credentials", "scope": "openid profile"}
    basic = globus.env["GLOBUS_CLI_CLIENT_ID"], globus.env["GLOBUS_CLI_CLIENT_SECRET"]
    return httpx.post(f"{globus.url}/v2/oauth2/token", data=form, auth=basic, trust_env=False).json()["access_token"]


def whoami(globus, value):
    return httpx.get(f"{globus.url}/v2/oauth2/userinfo", headers={"Authorization": f"Bearer {value}"}, trust_env=False).status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_answered_is_there_after_a_new_start(start_localglobus, number):
    globus = start_localglobus()
    before, ca, held = globus.env, (globus.data / "ca.pem").read_text(), token(globus)
    globus.stop(number)
    globus.start()
    assert globus.env == before
    assert (globus.data / "ca.pem").read_text() == ca
    assert whoami(globus, held) == 200


def test_it_ends_well_on_sigterm(start_localglobus):
    assert start_localglobus().stop() == 0


def test_a_second_one_on_the_same_port_names_the_port(localglobus, tmp_path):
    command = [sys.executable, "-m", "services.localglobus", "--data", str(tmp_path), "--port", str(localglobus.port)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"127.0.0.2:{localglobus.port}" in done.stderr


def test_it_listens_on_loopback_only(tmp_path):
    command = [sys.executable, "-m", "services.localglobus", "--data", str(tmp_path), "--host", "0.0.0.0"]
    assert subprocess.run(command, cwd=CHECKOUT, capture_output=True, timeout=60, check=False).returncode == 2


@pytest.mark.parametrize("place", [["--host=172.30.86.2"], ["--node=archive=https://172.30.86.2:8000"]])
def test_a_host_beyond_loopback_must_be_allowed_by_its_name(tmp_path, place, capsys):
    asked = ["--data", str(tmp_path), *place]
    for others in ([], ["--allow-host", "172.30.86.3"]):
        with pytest.raises(SystemExit):
            read_arguments([*asked, *others])
        assert "loopback" in capsys.readouterr().err
    assert read_arguments([*asked, "--allow-host", "172.30.86.2"]).allowed_hosts == ("172.30.86.2",)
    assert read_arguments(["--data", str(tmp_path)]).allowed_hosts == ()


def test_the_env_file_is_for_a_shell_and_for_its_owner(localglobus):
    said = subprocess.run(["sh", "-c", f". {localglobus.data}/env; env"], capture_output=True, text=True, check=True, env={}).stdout
    assert f"GLOBUS_SDK_SERVICE_URL_TIMER={localglobus.url}/\n" in said
    assert f"SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT={localglobus.url}\n" in said
    assert f"CAUSEWAY_GCS_ADDRESS=https://127.0.0.2:{localglobus.port + 1}\n" in said
    for name in ("env", "portal.env", "graph.env", "dtn-archive.secret", "dtn-campus.secret", "signing.key", "cookie.key", "ca.key"):
        assert (localglobus.data / name).stat().st_mode & 0o777 == 0o600, name


def test_a_lost_secret_file_means_a_new_secret(start_localglobus):
    globus = start_localglobus()
    before = globus.env["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
    globus.stop()
    (globus.data / "portal.env").unlink()
    globus.start()
    after = globus.env
    assert after["CAUSEWAY_GLOBUS_CLIENT_SECRET"] != before
    form = {"grant_type": "client_credentials", "scope": "openid"}
    basic = after["CAUSEWAY_GLOBUS_CLIENT_ID"], after["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
    assert httpx.post(f"{globus.url}/v2/oauth2/token", data=form, auth=basic, trust_env=False).status_code == 200


def test_the_managers_listen_beside(localglobus):
    for offset in (1, 2):
        socket.create_connection(("127.0.0.2", localglobus.port + offset)).close()
