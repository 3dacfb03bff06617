"""The way from a file in the catalogue to its address at the node."""

import ssl

import httpx
import pytest

from transfers import opening


def address_of(version, path: str) -> str:
    return f"/datasets/{version.dataset.slug}/versions/{version.number}/https/?path={path}"


def test_public_file_is_downloaded_by_its_link_without_signing_in(world, publish_real, client):
    version = publish_real()
    opening.open_dataset(version.dataset)
    answer = client.get(address_of(version, "/2020/jan.nc"))
    assert answer.status_code == 302
    trusted = ssl.create_default_context(cafile=str(world.stack.ca_file))
    got = httpx.get(answer["Location"], verify=trusted, trust_env=False)
    assert (got.status_code, got.content) == (200, b"january" * 100)


@pytest.mark.parametrize("path", ["/2020/mar.nc", "/../secret", "/2020/"])
def test_path_that_the_version_does_not_hold_leads_nowhere(publish, client, path):
    assert client.get(address_of(publish(), path)).status_code in {400, 404}


def test_registered_dataset_asks_a_stranger_to_sign_in(publish, client):
    answer = client.get(address_of(publish(policy="registered"), "/readme.txt"))
    assert answer.status_code == 403
    assert "Sign in" in answer.content.decode()


def test_restricted_file_is_given_out_by_shares_only(publish, client, dee):
    client.force_login(dee, backend="portal.signin.GlobusBackend")
    answer = client.get(address_of(publish(policy="restricted"), "/readme.txt"))
    assert answer.status_code == 403
    assert "Prepare a share" in answer.content.decode()
