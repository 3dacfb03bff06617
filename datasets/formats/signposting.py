"""FAIR Signposting: level 1 in the `Link` header of the landing page, level 2 as a linkset (RFC 9264). Source: https://signposting.org/FAIR/.

A header has room for few links, so single files stand in the linkset alone; the header's item is their list.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from datasets.formats import described_by
from datasets.formats.markup import json_text
from datasets.formats.record import Record

LINKSET_TYPE = "application/linkset+json"

Link = dict[str, str]


def links(record: Record) -> list[tuple[str, Link]]:
    """Relation and target attributes, from the landing page."""
    found: list[tuple[str, Link]] = [
        ("cite-as", {"href": record.identifier}),
        ("type", {"href": "https://schema.org/Dataset"}),
        ("type", {"href": "https://schema.org/AboutPage"}),
    ]
    found += [("author", {"href": maker.url}) for maker in record.makers if maker.url]
    if record.licence_url:
        found.append(("license", {"href": record.licence_url}))
    for form in described_by(record):
        profile = {"profile": form.profile} if form.profile else {}
        found.append(("describedby", {"href": record.format_url(form.name), "type": form.media_type} | profile))
    return found


def header(record: Record) -> str:
    """The value of the `Link` header."""
    found = links(record)
    if record.files_url:
        found.append(("item", {"href": record.files_url, "type": "application/json"}))
    found.append(("linkset", {"href": record.format_url("linkset"), "type": LINKSET_TYPE}))
    return ", ".join(_in_header(relation, link) for relation, link in found)


def back_header(record: Record) -> str:
    """The header of a metadata document: what it describes."""
    return _in_header("describes", {"href": record.url, "type": "text/html"})


def as_linkset(record: Record) -> str:
    """Every link of the version: those of the page, and back from each document and file to it."""
    items = [("item", {"href": one.url, "type": one.media_type}) for one in record.files or ()]
    if not items and record.files_url:
        items = [("item", {"href": record.files_url, "type": "application/json"})]
    page = {"href": record.url, "type": "text/html"}
    contexts = [_context(record.url, [*links(record), *items])]
    contexts += [_context(record.format_url(form.name), [("describes", page)]) for form in described_by(record)]
    contexts += [_context(link["href"], [("collection", page)]) for _, link in items]
    return json_text({"linkset": contexts})


def _context(anchor: str, found: Iterable[tuple[str, Link]]) -> dict[str, Any]:
    context: dict[str, Any] = {"anchor": anchor}
    for relation, link in found:
        context.setdefault(relation, []).append(link)
    return context


def _in_header(relation: str, link: Link) -> str:
    attributes = "".join(f'; {name}="{value}"' for name, value in link.items() if name != "href")
    return f'<{quote(link["href"], safe=":/?#[]@!$&()*+,;=%~")}>; rel="{relation}"{attributes}'
