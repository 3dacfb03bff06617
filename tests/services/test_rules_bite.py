"""A rule that is taken away bites within a second: on the next request, on the next range, and on a download under way."""

import os
import ssl
import time

import httpx
import pytest
from globus_sdk.scopes import GCSCollectionScopes

from tests.services.localglobus.transfer.conftest import folder, running_sites, sites, wait_until

pytestmark = pytest.mark.long

__all__ = ["folder", "running_sites", "sites"]  # fixtures
MIB = 1 << 20
SIZE = 96 * MIB  # more than any buffer on the way
KEPT_S = 1.0  # a node keeps control's answer no longer (services/dtn/PROTOCOL.md, section 4)


def grant(sites, folder):
    """Ada may read the folder; returns the rule's id."""
    ada = sites.identity("ada@university.example")
    wanted = {"DATA_TYPE": "access", "principal_type": "identity", "principal": ada, "permissions": "r", "path": f"/{folder.name}/"}
    return sites.service("demo").add_endpoint_acl_rule(sites.collection("share"), wanted)["access_id"]


@pytest.fixture
def rule(sites, folder):
    return grant(sites, folder)


@pytest.fixture
def take_away(sites, rule):
    """Take the rule away, and let pass what an answer may be old."""

    def take():
        sites.service("demo").delete_endpoint_acl_rule(sites.collection("share"), rule)
        time.sleep(KEPT_S)  # what a node keeps is of the past then

    return take


@pytest.fixture
def ada(sites, rule):
    """Her HTTPS client of the shares, once the rule is known at the node."""
    share = sites.collection("share")
    token = sites.token("ada@", str(GCSCollectionScopes(share).https), share)
    verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{sites.node_url('archive')}/{share}", headers=headers, verify=verify, trust_env=False) as client:
        yield client


@pytest.fixture
def address(folder, ada):
    (folder / "big.nc").write_bytes(os.urandom(MIB) * (SIZE // MIB))
    path = f"/{folder.name}/big.nc"
    wait_until(lambda: ada.head(path).status_code == 200)
    return path


def test_the_next_range_is_refused(ada, address, take_away):
    first = ada.get(address, headers={"Range": f"bytes=0-{MIB - 1}"})
    assert (first.status_code, len(first.content)) == (206, MIB)
    take_away()
    following = ada.get(address, headers={"Range": f"bytes={MIB}-{2 * MIB - 1}", "If-Range": first.headers["etag"]})
    assert following.status_code == 403
    assert ada.get(address).status_code == 403
    assert ada.get(address.rpartition("/")[0] + "/").status_code == 403


@pytest.mark.parametrize("field", [{}, {"Range": "bytes=5-"}], ids=["whole", "a range"])
def test_a_download_under_way_is_cut(ada, address, take_away, field):
    with ada.stream("GET", address, headers=field) as answer:
        assert answer.is_success
        chunks = answer.iter_raw()
        assert next(chunks)
        take_away()
        with pytest.raises(httpx.TransportError):
            sum(map(len, chunks))


def test_the_right_given_again_lets_it_go_on(sites, folder, ada, address, take_away):
    take_away()
    assert ada.get(address, headers={"Range": "bytes=0-9"}).status_code == 403
    grant(sites, folder)
    time.sleep(KEPT_S)  # a rule that is added is known as soon as one that is gone
    assert ada.get(address, headers={"Range": "bytes=0-9"}).status_code == 206
