"""Registering Globus collections: what the portal finds, the role it lacks, and a test that says the remedy. Read `run_test` first."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from datasets.models import GlobusCollection
from transfers import globus
from transfers.errors import ConsentNeededError, ForbiddenError, GlobusRefusedError, GlobusUnavailableError, InvalidError
from transfers.words import Collection

log = logging.getLogger(__name__)

REFUSALS = (GlobusRefusedError, GlobusUnavailableError, ConsentNeededError)
SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One check of a test; `commands` are lines of the Globus CLI that mend what failed, `link` a page of the Globus web app."""

    name: str
    has_passed: bool
    words: str
    commands: tuple[str, ...] = ()
    link: str = ""


def check_operator(user: Any) -> None:
    """Raise ForbiddenError unless the person is an operator: collections are everybody's."""
    if not getattr(user, "is_operator", False):
        raise ForbiddenError("Only operators register collections.")


def find_collections(text: str, *, user: Any) -> list[Collection]:
    """Collections that the portal itself finds by words of their name or by id. Raises GlobusUnavailableError."""
    check_operator(user)
    text = text.strip()
    if not text:
        return []
    if (named := _as_id(text)) is not None:
        try:
            return [globus.collection(named)]
        except GlobusRefusedError as error:
            if not error.is_missing:
                raise
            return []
    return [one for one in globus.search_collections(text, token=None) if "mapped" in one.kind or "guest" in one.kind]


def look_at(collection_id: UUID, *, user: Any) -> Collection:
    """A collection as Globus describes it to the portal. Raises GlobusRefusedError for one that the portal does not see."""
    check_operator(user)
    return globus.collection(collection_id)


def run_test(collection_id: UUID, *, user: Any, folder: str = "/") -> GlobusCollection:
    """Test a collection and register it, with what came of it: the portal lists a folder, gives a read rule to itself and takes it back.

    Safe to repeat, and the way to try again after a remedy. Raises InvalidError for a path that is no folder.
    """
    check_operator(user)
    if not folder.startswith("/") or not folder.endswith("/"):
        raise InvalidError(fields={"folder": ["A folder path: it starts and ends with /."]})
    found, name = list[Check](), ""
    for check, told in _checks(collection_id, folder):
        found.append(check)
        name = told or name
    facts = {
        "folder": folder,
        "tested_at": timezone.now(),
        "is_usable": all(check.has_passed for check in found),
        "checks": [asdict(check) for check in found],
    }
    known, is_new = GlobusCollection.objects.update_or_create(
        id=collection_id,
        defaults={**facts, **({"name": name[:300]} if name else {})},
        create_defaults={**facts, "name": name[:300] or str(collection_id), "registered_by_id": user.id},
    )
    log.info("a collection was tested", extra={"collection_id": str(collection_id), "is_usable": known.is_usable, "is_new": is_new})
    return known


def forget_collection(known: GlobusCollection, *, user: Any) -> None:
    """Take a collection off the list. Datasets that lie there stay where they are."""
    check_operator(user)
    known.delete()


def _checks(collection_id: UUID, folder: str) -> Iterator[tuple[Check, str]]:
    """Each check with the name that Globus gives the collection; what a later one needs, it does not run without."""
    roles = globus.roles_link(collection_id)
    try:
        found = globus.collection(collection_id)
    except REFUSALS as error:
        words = "The portal does not see it. Check the id; a private collection is seen once the portal has its role there."
        yield (
            Check("Found at Globus", has_passed=False, words=f"{words} ({error.detail})", commands=(globus.role_command(collection_id),)),
            "",
        )
        return
    yield Check("Found at Globus", has_passed=True, words=f"{found.name}, owned by {found.owner or 'nobody named'}"), found.name
    if found.is_mapped:
        words = "It is a mapped collection: who reads it needs an account of its host. Make a guest collection over the archive's folder."
        command = f'globus gcs collection create guest {collection_id} {folder} "Archive" --local-username ACCOUNT'
        yield Check("A guest collection", has_passed=False, words=words, commands=(command,)), found.name
        return
    yield Check("A guest collection", has_passed=True, words="Access is given by rules."), found.name
    if not found.has_manager_role:
        words = "The portal may not give and take access there. An administrator of the collection gives it the role access manager."
        yield (
            Check("Role of the portal", has_passed=False, words=words, commands=(globus.role_command(collection_id),), link=roles),
            found.name,
        )
    else:
        yield Check("Role of the portal", has_passed=True, words=", ".join(found.roles).replace("_", " ")), found.name
    yield _listing(collection_id, folder), found.name
    if found.has_manager_role:
        yield _rule(collection_id, folder), found.name


def _listing(collection_id: UUID, folder: str) -> Check:
    try:
        names = [entry.name for entry in islice(globus.list_folder(collection_id, folder), SHOWN)]
    except GlobusUnavailableError as error:
        words = f"The data transfer node does not answer ({error.detail}). Start it, then test again."
        return Check("Listing the folder", has_passed=False, words=words, commands=(f"globus ls {collection_id}:{folder}",))
    except (GlobusRefusedError, ConsentNeededError) as error:
        words = f"{error.detail}. Name a folder that is there; when it may not be read, an administrator lets the portal read it."
        grant = f"globus endpoint permission create {collection_id}:{folder} --permissions r --identity {settings.GLOBUS_CLIENT_ID}"
        return Check("Listing the folder", has_passed=False, words=words, commands=(f"globus ls {collection_id}:{folder}", grant))
    return Check("Listing the folder", has_passed=True, words=f"{', '.join(names)} ..." if names else "It is empty.")


def _rule(collection_id: UUID, folder: str) -> Check:
    """A rule for the portal itself, which opens nothing to anybody; one that was there before stays."""
    try:
        if globus.find_rule(collection_id, path=folder, principal=settings.GLOBUS_CLIENT_ID) is not None:
            return Check("Giving and taking access", has_passed=True, words="The portal has a rule there already.")
        rule_id = globus.add_rule(collection_id, path=folder, principal=settings.GLOBUS_CLIENT_ID)
        globus.remove_rule(collection_id, rule_id)
    except REFUSALS as error:
        command = f"globus endpoint permission list {collection_id}"
        words = f"{error.detail}. A collection holds 1,000 rules at most, and none without a subscription that allows sharing."
        return Check("Giving and taking access", has_passed=False, words=words, commands=(command,), link=globus.roles_link(collection_id))
    return Check("Giving and taking access", has_passed=True, words="A rule was given and taken back.")


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
