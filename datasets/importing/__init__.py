"""Descriptions that others wrote become drafts: read, settled into what a description here holds, registered. Read `import_records` first.

A preview does everything and takes it back, so it finds exactly what the import itself would find, for all records at once. An import that
finds anything wrong changes nothing. What a record says and a draft cannot hold is left out and told, never guessed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.text import slugify

from datasets import readers
from datasets.access import Visitor
from datasets.curation import registering
from datasets.description.snapshots import LABELS, snapshot
from datasets.errors import InvalidError, RefusedError
from datasets.importing.settling import drop_wrong, settle
from datasets.models import Dataset, Doi, Origin
from datasets.readers import Described
from datasets.readers.described import Unmapped

ROUNDS = 4
ALONE = 0x6F726967  # the key of the advisory lock


@dataclass(frozen=True)
class Wrong:
    """One thing for which a record is not taken: the field, the words."""

    field: str
    words: str


@dataclass
class Outcome:
    """What comes of one record: `act` is new, changed, same, refused or (of a harvest) deleted.

    `slug` is the dataset, empty where it is not for her to see.

    `changed` names the fields of a draft that the record replaces.
    """

    number: int
    title: str
    identifier: str
    act: str = "refused"
    slug: str = ""
    changed: list[str] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)


@dataclass
class Imported:
    """What an import did, or would do, record by record. `format` is how people call the format that was read."""

    format: str
    records: list[Outcome] = field(default_factory=list)
    is_done: bool = False

    def count(self, act: str) -> int:
        return sum(one.act == act for one in self.records)

    @property
    def n_wrong(self) -> int:
        return self.count("refused")


def preview(document: str, *, user: Visitor, format_name: str = "") -> Imported:
    """What `import_records` would do, with all that is wrong and all that has no place. Changes nothing; raises as it does."""
    return _run(document, user, format_name, is_dry_run=True)


def import_records(document: str, *, user: Visitor, format_name: str = "") -> Imported:
    """Make a draft of each record of a document, or bring the draft that it made before up to date. Safe to repeat.

    Formats are those of `datasets.readers`. Raises ForbiddenError unless she is a steward or an operator, InvalidError for a document that
    cannot be read. With a record refused nothing is changed, and `is_done` is false.
    """
    return _run(document, user, format_name, is_dry_run=False)


def _run(document: str, user: Visitor, format_name: str, *, is_dry_run: bool) -> Imported:
    registering.check_may_register(user)
    chosen, described = readers.read(document, format_name)
    imported, seen = Imported(format=chosen.words), dict[str, int]()
    with transaction.atomic():
        described = list(described)
        _lock(described)
        for number, one in enumerate(described, start=1):
            outcome = import_one(one, number=number, user=user, format_name=chosen.name)
            if earlier := seen.get(outcome.identifier):
                outcome.act = "refused"
                outcome.wrong.append(Wrong("identifier", f"Record {earlier} has the same identifier."))
            seen.setdefault(outcome.identifier, number)
            imported.records.append(outcome)
        imported.is_done = not is_dry_run and not imported.n_wrong
        transaction.set_rollback(not imported.is_done)
    return imported


def import_one(described: Described, *, number: int, user: Visitor, format_name: str) -> Outcome:
    """Take one record, in a savepoint: what is wrong with it is in the outcome, and leaves nothing behind."""
    digest = hashlib.sha256(json.dumps(described.stated, sort_keys=True).encode()).hexdigest()
    identifier = bounded(described.identifier)
    if not identifier:
        identifier = f"sha256:{digest}"
        described.leave("identifier", "The record has no identifier: only the very same one is known again.")
    outcome = Outcome(number, str(described.stated.get("title", "")), identifier)
    try:
        stated = settle(described)
        with transaction.atomic():
            _lock([described])
            _check_not_ours(identifier)
            known = Origin.objects.select_for_update(of=("self",)).select_related("dataset").filter(identifier=identifier).first()
            if known is None:
                dataset = _register(stated, described, user)
                outcome.act = "new"
                Origin.objects.create(
                    dataset=dataset, identifier=identifier, format=format_name, digest=digest, imported_at=timezone.now(),
                    imported_by_id=user.pk,
                )  # fmt: skip
                outcome.slug = dataset.slug
            else:
                _update(known, stated, described, user, outcome, digest)
    except IntegrityError:
        outcome.wrong.append(Wrong("identifier", "Somebody else imports this record at the same moment. Look again."))
    except RefusedError as error:
        outcome.wrong += [Wrong(path, " ".join(words)) for path, words in error.fields.items()] or [Wrong("record", error.detail)]
    if outcome.wrong:
        outcome.act = "refused"
    outcome.unmapped = described.unmapped
    return outcome


def _lock(described: Sequence[Described]) -> None:
    """Let one import write at a time, and hold all datasets that it may change before the first is indexed.

    Two would meet in each other's records, whose order is theirs; and somebody who waits for the index might hold a dataset.
    """
    identifiers = [bounded(one.identifier) for one in described if one.identifier]
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [ALONE])
    known = Dataset.with_bin.filter(origin__identifier__in=identifiers)
    list(known.order_by("pk").select_for_update(of=("self",)).values_list("pk"))


def bounded(identifier: str) -> str:
    """The identifier as it is kept; a very long one by its digest."""
    return identifier if len(identifier) <= 500 else f"sha256:{hashlib.sha256(identifier.encode()).hexdigest()}"


def _check_not_ours(identifier: str) -> None:
    is_ours, small = identifier.startswith(f"{settings.BASE_URL}/"), identifier.lower()  # as our names are, which have an index
    if is_ours or (small.startswith("doi:") and Doi.objects.filter(name=small.removeprefix("doi:")).exists()):
        raise InvalidError(fields={"identifier": [f"{identifier} is a record of this archive: it is here already."]})


def _register(stated: dict[str, Any], described: Described, user: Visitor) -> Dataset:
    title = stated.pop("title", "")
    slug = free_slug(title)

    def make(rest: Mapping[str, Any]) -> Dataset:
        return registering.register(user=user, slug=slug, title=title, **rest).dataset

    return _without_wrong(make, stated, described)


def free_slug(title: str) -> str:
    """A slug made of the title that no dataset has yet.

    Its number is looked for by halves: titles without a Latin letter all begin as `dataset`, and a harvest may have very many of them.
    """
    begun = slugify(title)[:60].strip("-_").replace("_", "-") or "dataset"
    begun = "-".join(filter(None, begun.split("-")))
    if not _is_taken(begun):
        return begun
    free = 2
    while _is_taken(f"{begun}-{free}"):
        free *= 2
    taken = free // 2
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if _is_taken(f"{begun}-{middle}") else (taken, middle)
    return f"{begun}-{free}"


def _is_taken(slug: str) -> bool:
    return Dataset.with_bin.filter(slug=slug).exists()


def _update(known: Origin, stated: dict[str, Any], described: Described, user: Visitor, outcome: Outcome, digest: str) -> None:
    """Bring the draft of an earlier import up to date, unless it is published or hers no more."""
    dataset = known.dataset
    if not Dataset.with_bin.curated_by(user).filter(pk=dataset.pk).exists():
        raise InvalidError(fields={"identifier": ["Imported before, and its draft has other stewards. Ask an operator."]})
    if dataset.deleted_at is not None:
        raise InvalidError(fields={"identifier": [f"Imported before, and its draft {dataset.slug} lies in the bin. Restore it there."]})
    outcome.slug = dataset.slug
    if known.digest == digest:
        outcome.act = "same"
        return
    if dataset.published_at is not None:
        raise InvalidError(
            fields={"identifier": [f"Imported before and published as {dataset.slug}: what changed since is edited there by hand."]}
        )
    before = snapshot(dataset)

    def change(rest: Mapping[str, Any]) -> Dataset:
        return registering.describe(dataset, user=user, **rest)

    _without_wrong(change, stated, described)
    after = snapshot(Dataset.objects.get(pk=dataset.pk))
    outcome.changed = [LABELS[name] for name in after if before[name] != after[name]]
    outcome.act = "changed"
    known.digest, known.imported_at, known.imported_by_id = digest, timezone.now(), user.pk
    known.save()


def _without_wrong(make: Any, stated: dict[str, Any], described: Described) -> Dataset:
    """Register or describe; what a rule here refuses is left out and told. Raises InvalidError where nothing helps."""
    for _ in range(ROUNDS):
        try:
            with transaction.atomic():
                done: Dataset = make(stated)
                return done
        except InvalidError as error:
            if not drop_wrong(stated, error.fields, described):
                raise
    raise InvalidError(fields={"record": ["Too much in this record breaks the rules of a description."]})
