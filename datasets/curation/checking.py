"""What stands between a draft and its publication: all of it at once, what must be mended and what had better be.

The desk shows the list while the draft is made, and `publishing.publish` refuses what must be mended.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from datasets.description import spelling
from datasets.description.vocabularies import check_standard_names, check_units
from datasets.files.recounting import n_without_checksum, root_state
from datasets.identifiers import licence_words
from datasets.items import n_without_file
from datasets.models import Dataset, Version


@dataclass(frozen=True)
class Finding:
    """One thing to mend; `must` says that publication waits for it."""

    field: str
    words: str
    must: bool = False


def check(version: Version) -> list[Finding]:
    """What is to be mended before this draft is published, what must be first."""
    dataset = Dataset.objects.prefetch_related("creators", "subjects", "variables").get(pk=version.dataset_id)
    found = [*_needed(dataset, version), *_metadata(dataset), *_words(dataset), *_links(dataset), *_files(version)]
    return sorted(found, key=lambda finding: not finding.must)


def missing(version: Version) -> dict[str, list[str]]:
    """What must be mended, by field."""
    found: dict[str, list[str]] = {}
    for finding in check(version):
        if finding.must:
            found.setdefault(finding.field, []).append(finding.words)
    return found


def _needed(dataset: Dataset, version: Version) -> Iterator[Finding]:
    root = root_state(version)
    if not dataset.title.strip():
        yield Finding("title", "Give the dataset a title.", must=True)
    if not dataset.abstract.strip():
        yield Finding("abstract", "Say what the data are.", must=True)
    if not version.locations.exists():
        yield Finding("location", "Say where the files are.", must=True)
    if root is None or root.n_files == 0:
        yield Finding("files", "Scan its location first: no file is known.", must=True)
    if version.scans.open().exists():
        yield Finding("scan", "A scan is open. Wait for its end, or answer its report.", must=True)


def _metadata(dataset: Dataset) -> Iterator[Finding]:
    creators = list(dataset.creators.all())
    if not creators:
        yield Finding("creators", "Nobody is named as creator: the citation names nobody.")
    without = [one.name for one in creators if not one.orcid and not one.ror]
    if without:
        yield Finding("creators", f"No ORCID for {_some(without)}.")
    if not dataset.licence:
        yield Finding("licence", "Without a licence nobody knows what she may do with the data.")
    if not dataset.subjects.all():
        yield Finding("subjects", "No subject: facets do not lead here.")
    if dataset.temporal_start is None and dataset.temporal_end is None:
        yield Finding("temporal_start", "No period: a search by time does not find it.")
    if not dataset.has_box:
        yield Finding("west", "No place: a search by place does not find it.")
    if not dataset.contact:
        yield Finding("contact", "No contact: questions go to its stewards alone.")
    unitless = [one.name for one in dataset.variables.all() if not one.units]
    if unitless:
        yield Finding("variables", f"No unit for {_some(unitless)}.")


def _words(dataset: Dataset) -> Iterator[Finding]:
    """What of the words is not as its standard has it: licences of SPDX, related works, names and units of variables, spelling."""
    if dataset.licence and not licence_words(dataset.licence) and not dataset.licence.startswith("LicenseRef-"):
        yield Finding("licence", f"{dataset.licence[:60]} is no SPDX identifier: machines do not know this licence.")
    if not dataset.related:
        yield Finding("related", "No related work: papers and other data that belong to these are not linked.")
    names = {one.name: one.standard_name for one in dataset.variables.all() if one.standard_name}
    wrong = check_standard_names(names)
    if wrong:
        yield Finding("variables", f"No CF standard name for {_some(list(wrong))}: {next(iter(wrong.values()))[0]}")
    odd = check_units({one.name: (one.standard_name, one.units) for one in dataset.variables.all()})
    if odd:
        yield Finding("variables", f"Unit of {_some(list(odd))}: {next(iter(odd.values()))[0]}")
    for name, pairs in spelling.doubtful(dataset, {"title": dataset.title, "abstract": dataset.abstract}).items():
        yield Finding(name, f"{spelling.in_words(pairs)}.")


def _links(dataset: Dataset) -> Iterator[Finding]:
    """Links that lead nowhere, with the day on which somebody looked; they warn, and never block."""
    for link in dataset.links.exclude(is_dead=False).exclude(checked_at=None):
        words = "is dead" if link.is_dead else "was not reached"
        yield Finding(link.field.partition(".")[0], f"A link {words}: {link.url} {link.words} ({link.checked_at:%Y-%m-%d}).")


def _files(version: Version) -> Iterator[Finding]:
    lacking = n_without_checksum(version)
    if lacking:
        yield Finding("files", f"{lacking:,} {'file has' if lacking == 1 else 'files have'} no checksum: nobody can tell a damaged copy.")
    if astray := n_without_file(version):
        yield Finding("items", f"{astray:,} {'item names' if astray == 1 else 'items name'} a file that this version does not hold.")


def _some(names: list[str], most: int = 3) -> str:
    """a, b and 7 more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
