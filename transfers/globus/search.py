"""Globus Search: entries of an index are written and removed as tasks, by the portal itself, which needs the role "writer" there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import globus_sdk
from globus_sdk.transport import RequestsTransport, RetryConfig

from transfers.faults import outside_call
from transfers.globus.clients import own_authorizer, translated_errors
from transfers.words import IndexedEntry, SearchTask

SEARCH_SCOPES = "urn:globus:auth:scope:search.api.globus.org:ingest urn:globus:auth:scope:search.api.globus.org:search"
TIMEOUT_S = 20.0  # a document may have 10 MB
PAGE = 100
STATES = {"SUCCESS": "succeeded", "FAILED": "failed"}


@contextmanager
def search_client() -> Iterator[globus_sdk.SearchClient]:
    with translated_errors(is_own=True):
        transport, retries = RequestsTransport(http_timeout=TIMEOUT_S), RetryConfig(max_retries=0)
        with globus_sdk.SearchClient(authorizer=own_authorizer(SEARCH_SCOPES), transport=transport, retry_config=retries) as client:
            yield client


@outside_call
def ingest_entries(index_id: str, entries: Sequence[Mapping[str, Any]], *, field_mapping: Mapping[str, str]) -> str:
    """Write GMetaEntries and answer the task's id. Safe to repeat: an entry replaces the one of its subject and id."""
    document = {"ingest_type": "GMetaList", "ingest_data": {"gmeta": list(entries)}, "field_mapping": dict(field_mapping)}
    with search_client() as client:
        return str(client.ingest(index_id, document)["task_id"])


@outside_call
def delete_subjects(index_id: str, subjects: Iterable[str]) -> str:
    """Remove subjects with all their entries and answer the task's id. Safe to repeat: what is gone is no error."""
    with search_client() as client:
        return str(client.batch_delete_by_subject(index_id, list(subjects))["task_id"])


def search_task(task_id: str) -> SearchTask:
    """How far a task is. Raises GlobusRefusedError, `is_missing`, for one that Search has forgotten."""
    with search_client() as client:
        task = client.get_task(task_id)
        return SearchTask(STATES.get(task["state"], "pending"), str(task.get("message") or task.get("state_description") or ""))


def find_entries(index_id: str, wanted: Mapping[str, Sequence[str]]) -> list[IndexedEntry]:
    """The first hundred entries of which each field that is named has one of its values."""
    query = globus_sdk.SearchQueryV1(q="*", limit=PAGE, filters=[_is_any_of(field, values) for field, values in wanted.items()])
    with search_client() as client:
        return _entries(client.post_search(index_id, query)["gmeta"])


def list_entries(index_id: str, field: str, value: str) -> Iterator[list[IndexedEntry]]:
    """All entries whose field has the value, by pages."""
    query = globus_sdk.SearchScrollQuery(q="*", limit=PAGE, additional_fields={"filters": [_is_any_of(field, [value])]})
    with search_client() as client:
        for page in client.paginated.scroll(index_id, query):
            yield _entries(page["gmeta"])


def _is_any_of(field: str, values: Sequence[str]) -> dict[str, Any]:
    return {"type": "match_any", "field_name": field, "values": list(values)}


def _entries(gmeta: Iterable[Mapping[str, Any]]) -> list[IndexedEntry]:
    return [IndexedEntry(one["subject"], str(each["entry_id"] or ""), each["content"]) for one in gmeta for each in one["entries"]]
