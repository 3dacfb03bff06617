"""One Globus to be asked: where it is, who asks, which two collections; and what its answers look like, so that two can be compared.

A side is made from the environment of its own variables, so that the unmodified SDK can be pointed at one Globus after the other.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import globus_sdk
from globus_sdk import (
    AccessTokenAuthorizer,
    AuthClient,
    ConfidentialAppAuthClient,
    DeleteData,
    GCSClient,
    GroupsClient,
    SearchClient,
    TimersClient,
    TransferClient,
    TransferData,
)
from globus_sdk.scopes import GCSCollectionScopes, Scope, SearchScopes, TimersScopes, TransferScopes

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
VIEW_IDENTITIES = "urn:globus:auth:scope:auth.globus.org:view_identities"
MOST_WAIT_S = 600
POINTERS = "GLOBUS_SDK_"
"""Variables by which the SDK finds a Globus; without any it is the real one."""


@dataclass(frozen=True)
class Place:
    """A folder of a collection; the path ends with a slash."""

    collection: str
    path: str

    @classmethod
    def read(cls, words: str) -> "Place":
        """From `<collection id>:/path/`."""
        collection, _, path = words.partition(":")
        return cls(str(uuid.UUID(collection)), "/" + path.strip("/") + "/" if path.strip("/") else "/")


@dataclass
class Side:
    """A Globus as one confidential client sees it. Clients are made when they are needed."""

    name: str
    env: Mapping[str, str]
    client_id: str
    client_secret: str
    source: Place
    destination: Place

    @contextmanager
    def pointed_at(self) -> Iterator[None]:
        """Clients that are made in this block talk to this side."""
        before = {name: value for name, value in os.environ.items() if name.startswith(POINTERS)}
        mine = {name: value for name, value in self.env.items() if name.startswith(POINTERS)}
        _replace(before, mine)
        try:
            yield
        finally:
            _replace(mine, before)

    @cached_property
    def app(self) -> ConfidentialAppAuthClient:
        with self.pointed_at():
            return ConfidentialAppAuthClient(self.client_id, self.client_secret)

    def impostor(self) -> ConfidentialAppAuthClient:
        with self.pointed_at():
            return ConfidentialAppAuthClient(self.client_id, "wrong")

    def token(self, *wanted: str | Scope) -> AccessTokenAuthorizer:
        tokens = self.app.oauth2_client_credentials_tokens(" ".join(map(str, wanted)))
        return AccessTokenAuthorizer(tokens["access_token"])

    @cached_property
    def auth(self) -> AuthClient:
        authorizer = self.token("openid", "email", "profile", VIEW_IDENTITIES)
        with self.pointed_at():
            return AuthClient(authorizer=authorizer)

    def stranger(self) -> TransferClient:
        """With a token that nobody issued."""
        with self.pointed_at():
            return TransferClient(authorizer=AccessTokenAuthorizer("wrong"))

    @cached_property
    def groups(self) -> GroupsClient:
        authorizer = self.token(GROUPS)
        with self.pointed_at():
            return GroupsClient(authorizer=authorizer)

    def visitor(self) -> AuthClient:
        """With a token that nobody issued."""
        with self.pointed_at():
            return AuthClient(authorizer=AccessTokenAuthorizer("wrong"))

    @cached_property
    def timers(self) -> TimersClient:
        authorizer = self.token(TimersScopes.timer.with_dependency(TransferScopes.all))
        with self.pointed_at():
            return TimersClient(authorizer=authorizer)

    @cached_property
    def indices(self) -> SearchClient:
        authorizer = self.token(SearchScopes.all)
        with self.pointed_at():
            return SearchClient(authorizer=authorizer)

    def manager(self, token: str = "") -> GCSClient:
        """Of the source, without a token or with one that is given."""
        address = self.transfer.get_endpoint(self.source.collection)["gcs_manager_url"]
        with self.pointed_at():
            return GCSClient(address, authorizer=AccessTokenAuthorizer(token) if token else None)

    @cached_property
    def transfer(self) -> TransferClient:
        """With `data_access` of the collections that ask for it (mapped ones)."""
        authorizer = self.token(TransferScopes.all)
        with self.pointed_at():
            plain = TransferClient(authorizer=authorizer)
        scope = TransferScopes.all
        for place in {self.source.collection, self.destination.collection}:
            if plain.get_endpoint(place)["entity_type"] == "GCSv5_mapped_collection":
                scope = scope.with_dependency(GCSCollectionScopes(place).data_access)
        authorizer = self.token(scope)
        with self.pointed_at():
            return TransferClient(authorizer=authorizer)

    @cached_property
    def may_grant(self) -> bool:
        roles = self.transfer.get_endpoint(self.destination.collection)["my_effective_roles"]
        return bool({"access_manager", "administrator"} & set(roles))

    @cached_property
    def workspace(self) -> str:
        """A new folder at the destination, for everything that is written."""
        path = f"{self.destination.path}causeway-live-{uuid.uuid4().hex}/"
        self.transfer.operation_mkdir(self.destination.collection, path)
        return path

    def new_folder(self) -> str:
        path = f"{self.workspace}{uuid.uuid4().hex}/"
        self.transfer.operation_mkdir(self.destination.collection, path)
        return path

    def copy(self) -> TransferData:
        """The source folder, into a new one."""
        asked = TransferData(self.source.collection, self.destination.collection, label="causeway live", notify_on_succeeded=False)
        asked.add_item(self.source.path, f"{self.workspace}{uuid.uuid4().hex}/", recursive=True)
        return asked

    def removal(self) -> DeleteData:
        asked = DeleteData(endpoint=self.destination.collection, recursive=True, notify_on_succeeded=False)
        asked.add_item(self.new_folder())
        return asked

    @cached_property
    def finished(self) -> str:
        """A transfer that has ended well."""
        return self.ended(self.transfer.submit_transfer(self.copy())["task_id"])

    def ended(self, task_id: str) -> str:
        self.over(task_id)
        assert self.transfer.get_task(task_id)["status"] == "SUCCEEDED", self.transfer.get_task(task_id)
        return task_id

    def over(self, task_id: str) -> None:
        """Waits for the end of a task, however it ends."""
        deadline = time.monotonic() + MOST_WAIT_S
        while self.transfer.get_task(task_id)["status"] == "ACTIVE":
            assert time.monotonic() < deadline, f"{self.name}: {self.transfer.get_task(task_id)}"
            time.sleep(0.5)  # the other Globus is asked no oftener

    def clean_up(self) -> None:
        """Remove what was written."""
        if "workspace" in vars(self):
            asked = DeleteData(endpoint=self.destination.collection, recursive=True, notify_on_succeeded=False)
            asked.add_item(self.workspace)
            self.ended(self.transfer.submit_delete(asked)["task_id"])


def _replace(gone: Mapping[str, str], come: Mapping[str, str]) -> None:
    for name in gone:
        os.environ.pop(name, None)
    os.environ.update(come)


@dataclass(frozen=True)
class Outcome:
    """How a call ended: HTTP status, the code of a refusal, the JSON."""

    status: int
    code: str | None
    body: Any

    @classmethod
    def of(cls, ask: Callable[[Side], Any], side: Side) -> "Outcome":
        try:
            answer = ask(side)
        except globus_sdk.GlobusAPIError as refused:
            return cls(refused.http_status, refused.code, refused.raw_json)
        return cls(answer.http_status, None, getattr(answer, "full_data", None) or answer.data)


def differences(there: Outcome, here: Outcome) -> list[str]:
    """What a program would notice: `where: what there, what here`, in the order of the paths. Values are not compared, nor words."""
    found = [f"status: {there.status} there, {here.status} here"] if there.status != here.status else []
    if there.code != here.code:
        found.append(f"code: {there.code} there, {here.code} here")
    return found + (_differences(shape(there.body), shape(here.body), "$") if there.status == here.status else [])


def shape(value: Any) -> Any:
    """Keys and types of JSON: of a list one element that stands for all."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        merged: Any = None
        for each in value:
            merged = _merge(merged, shape(each))
        return [merged]
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return None if value is None else names[type(value)]


def _merge(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _merge(one.get(key), other.get(key)) for key in {**one, **other}}
    return other if one is None else one


def _differences(there: Any, here: Any, where: str) -> list[str]:
    if there is None or here is None:
        return []
    if isinstance(there, dict) and isinstance(here, dict):
        found = [f"{where}.{key}: only {'there' if key in there else 'here'}" for key in sorted({*there} ^ {*here})]
        return found + [each for key in sorted({*there} & {*here}) for each in _differences(there[key], here[key], f"{where}.{key}")]
    if isinstance(there, list) and isinstance(here, list):
        return _differences(there[0], here[0], f"{where}[]")
    kinds = [each if isinstance(each, str) else "object" if isinstance(each, dict) else "array" for each in (there, here)]
    return [f"{where}: {kinds[0]} there, {kinds[1]} here"] if kinds[0] != kinds[1] else []
