"""From the database to a `Record`, in one place: what may be told about a published version, whatever the format. Read `find_record` first.

Drafts have no record. The files of restricted datasets are not named here, so no format can name them.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from datasets import files
from datasets.errors import InvalidError, NotFoundError
from datasets.formats import Format, described_by
from datasets.formats.record import (
    Affiliation,
    Device,
    Funding,
    Keyword,
    Maker,
    Quantity,
    Record,
    RecordFile,
    Related,
    SeriesLink,
    VersionLink,
)
from datasets.models import Creator, Dataset, Version
from datasets.states import VersionStatus

Shape = TypeVar("Shape", Affiliation, Device, Funding, Keyword, Related)

MOST_FILES = 500  # a metadata record is no manifest; above, formats point at the list of files


def with_description(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """Fetch with the datasets what a record says, in a fixed number of statements; versions are the published ones, newest first."""
    return datasets.select_related("series").prefetch_related(
        "creators", "subjects", "variables", Prefetch("versions", Version.objects.published().select_related("doi"))
    )


def find_record(slug: str, number: int | None = None, *, has_files: bool = False) -> Record:
    """The record of a published version, by default the current one; NotFoundError where there is none. At most 8 statements."""
    dataset = with_description(Dataset.objects.published()).filter(slug=slug).first()
    versions = list(dataset.versions.all()) if dataset else []
    version = next((one for one in versions if number in {None, one.number}), None)
    if dataset is None or version is None:
        raise NotFoundError
    version.dataset = dataset
    return make_record(dataset, version, versions, total=files.measure(version, files.FileQuery()), has_files=has_files)


def current_record(dataset: Dataset) -> Record | None:
    """The record of the current version of a dataset that was fetched `with_description`; no statement. None where none is published."""
    versions = list(dataset.versions.all())
    if not versions:
        return None
    versions[0].dataset = dataset
    return make_record(dataset, versions[0], versions, total=files.Measure(dataset.n_files, dataset.size_bytes))


def preview_record(draft: Version) -> Record:
    """The record that a draft would have if it were published now, for its curators; nothing is saved. NotFoundError for no draft."""
    if not draft.is_draft:
        raise NotFoundError
    dataset = with_description(Dataset.objects.all()).get(pk=draft.dataset_id)
    shown = copy.copy(draft)
    shown.status, shown.published_at, shown.dataset = VersionStatus.PUBLISHED, timezone.now(), dataset
    return make_record(dataset, shown, [shown, *dataset.versions.all()], total=files.measure(draft, files.FileQuery()))


def preview_in(dataset: Dataset, name: str) -> tuple[Record, Format, list[Format]]:
    """The record of the open draft, the format of that name (the first where none is named), and those that it can be had in.

    Raises NotFoundError without a draft, InvalidError for a format that there is not, or not of this draft.
    """
    draft = dataset.versions.drafts().first()
    if draft is None:
        raise NotFoundError("No draft is open. What is published is on its page.")
    record = preview_record(draft)
    forms = described_by(record)
    form = next((one for one in forms if one.name == (name or forms[0].name)), None)
    if form is None:
        raise InvalidError(fields={"format": [f"One of {', '.join(one.name for one in forms)}."]})
    return record, form, forms


def make_record(
    dataset: Dataset, version: Version, versions: Sequence[Version], *, total: files.Measure, has_files: bool = False
) -> Record:
    """What may be told about a published version. `versions` may hold drafts: they are left out."""
    if version.is_draft or version.published_at is None:
        raise NotFoundError
    published = [one for one in versions if not one.is_draft]
    can_list = not version.is_withdrawn and dataset.is_read_in_place
    return Record(
        id=str(dataset.id),
        slug=dataset.slug,
        title=dataset.title,
        abstract=dataset.abstract,
        page_url=settings.BASE_URL + dataset.get_absolute_url(),
        url=settings.BASE_URL + version.get_absolute_url(),
        site_url=settings.BASE_URL,
        version=version.number,
        published_at=version.published_at,
        updated_at=max(dataset.updated_at, version.published_at),
        access_policy=dataset.effective_policy.value,
        is_current=version.number == max(one.number for one in published),
        access_note=_access_note(dataset),
        embargo_ends_on=dataset.embargo_ends_at.date() if dataset.embargo_ends_at and dataset.is_embargoed else None,
        licence=dataset.licence,
        makers=tuple(_maker(one) for one in dataset.creators.all()),
        subjects=tuple(one.name for one in dataset.subjects.all()),
        quantities=tuple(Quantity(one.name, one.standard_name, one.long_name, one.units) for one in dataset.variables.all()),
        formats=tuple(dataset.format_facet),
        box=dataset.bbox,
        start=dataset.temporal_start,
        end=dataset.temporal_end,
        resolution=dataset.temporal_resolution,
        places=tuple(dataset.places),
        keywords=tuple(_as(Keyword, one) for one in dataset.keywords),
        funding=tuple(_as(Funding, one) for one in dataset.funders),
        related=tuple(_as(Related, one) for one in dataset.related),
        instruments=tuple(_as(Device, one) for one in dataset.instruments),
        platforms=tuple(_as(Device, one) for one in dataset.platforms),
        contact_name=dataset.contact_name,
        source_name=dataset.source_name,
        source_url=dataset.source_url,
        provenance=dataset.provenance,
        n_files=total.n_files,
        size_bytes=total.size_bytes,
        digest=version.digest_hex if can_list else "",
        files=_files(version) if has_files and can_list and total.n_files <= MOST_FILES else None,
        files_url=settings.BASE_URL + reverse("datasets-api:files", args=[dataset.slug, version.number]) if can_list else "",
        doi=_doi(version),
        series=_series(dataset),
        others=tuple(VersionLink(one.number, settings.BASE_URL + _address(dataset, one), _doi(one)) for one in published if one != version),
    )


def _series(dataset: Dataset) -> SeriesLink | None:
    """Its series, which everybody sees as long as the dataset is listed in it."""
    one = dataset.series
    if one is None or dataset.is_withdrawn:
        return None
    return SeriesLink(one.title, settings.BASE_URL + one.get_absolute_url(), one.description)


def _maker(creator: Creator) -> Maker:
    return Maker(creator.name, creator.orcid, tuple(_as(Affiliation, one) for one in creator.affiliations), creator.ror)


def _as(shape: type[Shape], entry: Mapping[str, str]) -> Shape:
    """An entry of a list as the records have it; what the shape does not name stays behind."""
    return shape(**{one.name: entry[one.name] for one in fields(shape) if one.name in entry})


def _access_note(dataset: Dataset) -> str:
    end = dataset.embargo_ends_at
    embargo = f"Under an embargo until {end:%Y-%m-%d}." if end and dataset.is_embargoed else ""
    return " ".join(filter(None, (embargo, dataset.access_note)))


def _doi(version: Version) -> str:
    """Its DOI once DataCite has it; before, nobody could follow it."""
    doi = version.own_doi
    return doi.name if doi and doi.resolves else ""


def _address(dataset: Dataset, version: Version) -> str:
    version.dataset = dataset  # what was fetched: the address needs the slug
    return version.get_absolute_url()


def _files(version: Version) -> tuple[RecordFile, ...]:
    """The files with the address of each at the data node; empty where this installation gives single files no address."""
    try:
        address = settings.BASE_URL + reverse("transfers:https", args=[version.dataset.slug, version.number])
    except NoReverseMatch:
        return ()
    rows = files.iterate(version, files.FileQuery(), batch=MOST_FILES + 1)
    return tuple(RecordFile(row.path, row.size_bytes, row.sha256, row.format, f"{address}?{urlencode({'path': row.path})}") for row in rows)
