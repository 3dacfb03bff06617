"""An index of the demo's service client, and the cast as unmodified SearchClients."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import globus_sdk
import pytest
from globus_sdk import AccessTokenAuthorizer, SearchClient
from globus_sdk.scopes import SearchScopes

from tests.services.localglobus.conftest import LocalGlobus, use


@dataclass
class Index:
    """One index with its owner's client."""

    globus: LocalGlobus
    demo: SearchClient
    id: str

    def entry(self, subject: str, content: dict[str, Any], *, entry_id: str | None = None, **more: Any) -> dict[str, Any]:
        return {"subject": subject, "id": entry_id, "visible_to": ["public"], "content": content, **more}

    def put(self, *entries: dict[str, Any]) -> None:
        asked = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": list(entries)}}
        assert self.wait(self.demo.ingest(self.id, asked)["task_id"])["state"] == "SUCCESS"

    def wait(self, task_id: str) -> Any:
        """The task when it is over."""
        return wait_for_task(self.demo, task_id)

    def identity(self, who: str) -> str:
        tokens = self.globus.client("demo").oauth2_client_credentials_tokens("urn:globus:auth:scope:auth.globus.org:view_identities")
        found = globus_sdk.AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"])).get_identities(usernames=who)
        return found["identities"][0]["id"]


def wait_for_task(client: SearchClient, task_id: str) -> Any:
    until = time.monotonic() + 90
    while (task := client.get_task(task_id))["state"] == "PENDING":
        assert time.monotonic() < until, task
        time.sleep(0.02)  # polled: there is no event to wait for
    return task


def client_of(globus: LocalGlobus, name: str, scope: str = str(SearchScopes.all)) -> SearchClient:
    token = globus.client(name).oauth2_client_credentials_tokens(scope)["access_token"]
    return SearchClient(authorizer=AccessTokenAuthorizer(token))


@pytest.fixture(scope="module")
def sdk(localglobus: LocalGlobus) -> Iterator[LocalGlobus]:
    """The environment of the SDK for fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        use(localglobus, patch)
        yield localglobus


def make_index(globus: LocalGlobus) -> Iterator[Index]:
    demo = client_of(globus, "demo")
    made = Index(globus, demo, demo.create_index(f"Index {os.urandom(4).hex()}", "of a test")["id"])
    yield made
    demo.delete_index(made.id)


@pytest.fixture
def index(globus: LocalGlobus) -> Iterator[Index]:
    yield from make_index(globus)


@pytest.fixture(scope="module")
def person(sdk: LocalGlobus) -> Callable[[str], SearchClient]:
    """The SearchClient of one of the cast, through the portal."""
    found: dict[str, SearchClient] = {}

    def make(who: str) -> SearchClient:
        if who not in found:
            token = sdk.sign_in(f"{who}@", str(SearchScopes.all)).by_resource_server["search.api.globus.org"]["access_token"]
            found[who] = SearchClient(authorizer=AccessTokenAuthorizer(token))
        return found[who]

    return make


@pytest.fixture(scope="module")
def anonymous(sdk: LocalGlobus) -> SearchClient:
    return SearchClient()


@pytest.fixture(autouse=True)
def environment(globus: LocalGlobus) -> None:
    """Every test's clients find the running localglobus."""
