"""The story of a transfer to somebody's own collection, done as herself with her own permission.

The steps are those of `sharing.py`: claim, call out with a key that makes the call safe to repeat, record. Where her permission is missing
or was taken back, the request waits in NEEDS_SIGN_IN and goes on by itself when she gives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from transfers import copying, globus, mail, manifests, opening, requesting, steps, tokens
from transfers.errors import (
    ConflictError,
    ConsentNeededError,
    ForbiddenError,
    GlobusRefusedError,
    GlobusUnavailableError,
    InvalidError,
    NotClaimedError,
)
from transfers.models import DataRequest, Destination
from transfers.requesting import Wanted
from transfers.states import Kind, Status
from transfers.words import Collection, Entry

MOST_SHOWN = 500


@dataclass(frozen=True)
class Place:
    """A folder of a collection as the person sees it, before she sends something there."""

    collection: Collection
    path: str
    entries: list[Entry]


@dataclass(frozen=True)
class Offer:
    """Where she could send files. Whether she may write to what is shared with her, only the place itself knows."""

    own: list[Collection]
    shared: list[Collection]
    nearby: list[Collection]

    @property
    def is_empty(self) -> bool:
        return not (self.own or self.shared or self.nearby)


def request_transfer(
    *, user: Any, wanted: Sequence[Wanted], collection_id: UUID, path: str, name: str = "", idempotency_key: str = ""
) -> DataRequest:
    """Ask that these files are sent to her collection; workers do the rest. Safe to repeat with the same idempotency key."""
    check_path(path)
    for one in wanted:
        if one.version.published_at and not one.version.dataset.is_read_in_place:
            raise ForbiddenError(
                f"{one.version.dataset.title} is not read in place: the archive itself is closed to your Globus identity. "
                "Prepare a share: from there you can send the files on in the Globus file manager."
            )
    request = requesting.create_request(
        user=user,
        kind=Kind.TRANSFER,
        wanted=wanted,
        idempotency_key=idempotency_key,
        destination_collection_id=collection_id,
        destination_path=path,
        destination_name=name[:200],
    )
    remember(user, collection_id, path=path, name=name)
    return request


def check_path(path: str) -> None:
    """Raises InvalidError unless this is a folder path that stays where it says."""
    parts = path.split("/")
    if not (path.startswith("/") and path.endswith("/")) or ".." in parts or any(ord(character) < 32 for character in path):
        words = "A folder starts and ends with / and has no .. in it."
        raise InvalidError(words, fields={"path": [words]})


def destinations_of(user: Any) -> list[Destination]:
    """Where she sent files before, the latest first."""
    return list(Destination.objects.filter(user=user)[:10])


def search_destinations(user: Any, text: str) -> list[Collection]:
    """What a text finds, without what she may only read. Raises ConsentNeededError before she gave the permission."""
    return _without(_read_only(user), globus.search_collections(text, token=token_of(user)))


def offer_destinations(user: Any) -> Offer:
    """Her own collections and those that she used lately, those shared with her, and for her first time those of her institution.

    Raises ConsentNeededError before she gave the permission.
    """
    token, known = token_of(user), _read_only(user)
    own = _without(known, globus.search_collections(token=token, scopes=["my-endpoints", "recently-used"]))
    known |= {one.id for one in own}
    shared = _without(known, globus.search_collections(token=token, scopes=["shared-with-me"]))
    known |= {one.id for one in shared}
    institution = getattr(user, "organization", "")
    nearby = _without(known, globus.search_collections(institution, token=token)) if institution and not own else []
    return Offer(own, shared, nearby)


def _without(ids: set[str], found: list[Collection]) -> list[Collection]:
    return [one for one in found if one.id not in ids]


def _read_only(user: Any) -> set[str]:
    """Collections that nobody sends files to: the archive's own, and those that were made as shares for her."""
    own = {settings.ARCHIVE_COLLECTION, settings.SHARE_COLLECTION, settings.RESULTS_COLLECTION, settings.STORAGE_COLLECTION}
    shares = DataRequest.objects.filter(user=user, collection_id__isnull=False).values_list("collection_id", flat=True).distinct()
    return {str(one) for one in (*own, *shares)}


def look_at(user: Any, collection_id: UUID, path: str = "") -> Place:
    """What is in a folder of her collection, as herself. Changes nothing. The words of a refusal say what to do."""
    token = token_of(user)
    collection = globus.collection(collection_id, token=token)
    path = path or collection.default_folder
    entries: list[Entry] = []
    for entry in globus.list_folder(collection_id, path, token=token):
        if entry.is_folder:
            entries.append(entry)
        if len(entries) >= MOST_SHOWN:
            break
    return Place(collection, path, entries)


def check_destination(user: Any, collection_id: UUID, path: str) -> None:
    """Whether she can reach and write to a folder, which is made if its parent exists. A Globus that is out is not held against it.

    Raises ConsentNeededError for what she has to allow first, InvalidError with words for what does not work.
    """
    check_path(path)
    token = token_of(user)
    try:
        globus.make_folder(collection_id, path, token=token)
        next(globus.list_folder(collection_id, path, token=token), None)
    except GlobusRefusedError as error:
        words = f"You cannot write to {path} there: {error.detail}"
        raise InvalidError(words, fields={"path": [words]}) from error
    except GlobusUnavailableError:
        return


def token_of(user: Any) -> str:
    """Her token for Globus Transfer. Raises ConsentNeededError when she has to give the permission first."""
    return tokens.access_token(user, globus.TRANSFER_SERVER, [globus.TRANSFER_SCOPE])


def remember(user: Any, collection_id: UUID, *, path: str, name: str) -> None:
    """Offer this destination first the next time."""
    known = Destination.objects.filter(user=user, collection_id=collection_id, path=path)
    if not known.update(used_at=timezone.now(), n_uses=F("n_uses") + 1):
        Destination.objects.get_or_create(
            user=user, collection_id=collection_id, path=path, defaults={"name": name[:200] or str(collection_id)}
        )


@shared_task(name="transfers.send", throws=(NotClaimedError,), soft_time_limit=300)
def send(request_id: str) -> None:
    """Start the copies to her collection. Safe to repeat."""
    with steps.step(request_id, expected={Status.QUEUED}, kind=Kind.TRANSFER) as request:
        token, destination_id = token_of(request.user), destination_of(request)
        for selection in manifests.selections_of(request):
            opening.open_dataset(selection.version.dataset)  # she reads the archive as herself; the sweep may not have been there yet
        copying.prepare_tasks(request, token=token)
        for root in sorted({manifests.root_of(request, selection.version) for selection in manifests.selections_of(request)}):
            globus.make_folder(destination_id, root, token=token)
        copying.submit_tasks(request, destination_id=destination_id, label=f"Causeway transfer {request.pk}", token=token)
        request.move_to(Status.SENDING)


@shared_task(name="transfers.follow", throws=(NotClaimedError,), soft_time_limit=300)
def follow(request_id: str) -> None:
    """Ask Globus how far the copies are; compare, tell and finish when they are done."""
    with steps.step(request_id, expected={Status.SENDING}) as request:
        token = token_of(request.user)
        if not copying.follow_tasks(request, token=token):
            request.record(due_at=copying.next_look(request), attempts=0)
            return
        if missing := copying.compare(request, token=token).missing:
            steps.fail(request, copying.failure_words(request, len(missing)))
            return
        mail.try_sending(mail.send_sent, request)
        request.move_to(Status.SENT)


@shared_task(name="transfers.resume", throws=(NotClaimedError,), soft_time_limit=60)
def resume(request_id: str) -> None:
    """Go on with a request that waited for a permission which is there now."""
    with steps.step(request_id, expected={Status.NEEDS_SIGN_IN}) as request:
        try:
            token_of(request.user)
        except ConsentNeededError:
            request.record(due_at=None)
            return
        request.move_to(Status.QUEUED, note="The permission is there; going on.", required_scopes=[], required_session={})


@shared_task(name="transfers.stop_sending", throws=(NotClaimedError,), soft_time_limit=120)
def stop_sending(request_id: str) -> None:
    """Stop the copies of a cancelled transfer. What arrived stays where it is: it is hers."""
    with steps.step(request_id, expected={Status.CANCELLING}, kind=Kind.TRANSFER) as request:
        note = ""
        try:
            copying.cancel_tasks(request, destination_id=destination_of(request), token=token_of(request.user))
        except ConsentNeededError:
            note = "Causeway may not act for you any more; stop what still runs on the Globus activity page."
        request.move_to(Status.CANCELLED, note=note)


def cancel(request: DataRequest, *, user: Any) -> None:
    """Stop a transfer. Safe to repeat."""
    requesting.check_may_change(request, user)
    if request.status in {Status.CANCELLING, Status.CANCELLED}:
        return
    request.move_to(Status.CANCELLING, actor=user, note="Cancelled.")
    steps.hint(request)


def ask_again(request: DataRequest, *, user: Any, idempotency_key: str = "") -> DataRequest:
    """Send the same files to the same place once more, when this request is over."""
    requesting.check_may_change(request, user)
    requesting.check_is_over(request)
    requesting.check_assurance(request, user)
    return request_transfer(
        user=request.user,
        wanted=requesting.wanted_of(request),
        collection_id=destination_of(request),
        path=request.destination_path,
        name=request.destination_name,
        idempotency_key=idempotency_key,
    )


def destination_of(request: DataRequest) -> UUID:
    if request.destination_collection_id is None:
        raise ConflictError("This request sends nothing anywhere.")
    return request.destination_collection_id
