"""What the Globus Search index holds against what the catalogue would push, both ways, a page at a time: memory does not grow."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from datasets.formats import globus_search
from datasets.metadata.describing import current_record, with_description
from datasets.models import Dataset
from transfers import globus
from transfers.words import IndexedEntry

PAGE = 100


@dataclass(frozen=True)
class Difference:
    """`finding` is missing, outdated or stray (in the index, though nothing of the kind is published here)."""

    finding: str
    subject: str
    dataset_id: UUID | None


def compare() -> Iterator[Difference]:
    """Every difference. Reads the index as the portal; writes nothing. What waits in the outbox is a difference too."""
    for rows in pages():
        yield from _differences_of(rows)
    for entries in own_entries():
        yield from strays(entries)


def pages() -> Iterator[list[Dataset]]:
    """All listed datasets with their descriptions, by id."""
    chosen: QuerySet[Dataset] = with_description(Dataset.objects.listed()).defer("search_terms").order_by("pk")
    rows = list(chosen[:PAGE])
    while rows:
        yield rows
        rows = list(chosen.filter(pk__gt=rows[-1].pk)[:PAGE])


def _differences_of(rows: list[Dataset]) -> Iterator[Difference]:
    own = {globus_search.SITE_FIELD: [settings.BASE_URL], globus_search.ID_FIELD: [str(one.pk) for one in rows]}
    found = globus.find_entries(settings.SEARCH_INDEX, own)
    held = {(one.subject, one.entry_id): one.content for one in found}
    for dataset in rows:
        record = current_record(dataset)
        if record is None:
            continue
        entry = globus_search.entry(record)
        content = held.get((entry["subject"], entry["id"]))
        if content != entry["content"]:
            yield Difference("missing" if content is None else "outdated", entry["subject"], dataset.pk)


def own_entries() -> Iterator[list[IndexedEntry]]:
    """What the index holds of this site, by pages; what others put there is none of ours."""
    return globus.list_entries(settings.SEARCH_INDEX, globus_search.SITE_FIELD, settings.BASE_URL)


def strays(entries: list[IndexedEntry]) -> Iterator[Difference]:
    """Of this site's entries those that stand for no listed dataset, or not under its address."""
    keys = [key for one in entries if (key := _uuid(one.entry_id))]
    listed = {row.pk: settings.BASE_URL + row.get_absolute_url() for row in Dataset.objects.listed().filter(pk__in=keys).only("slug")}
    for one in entries:
        key = _uuid(one.entry_id)
        if key is None or listed.get(key) != one.subject:
            yield Difference("stray", one.subject, key)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
