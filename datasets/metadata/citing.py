"""How a version of a dataset is cited; drafts too, which have no record yet."""

from django.conf import settings

from datasets.formats import citation
from datasets.formats.record import Record
from datasets.models import Dataset, Version


def cite(dataset: Dataset, version: Version | None) -> str:
    """The line that `formats.citation` writes, with what is known of a draft."""
    creators = "; ".join(creator.name for creator in dataset.creators.all())
    published = version.published_at if version else None
    doi = version.own_doi if version else None
    page = version.get_absolute_url() if version else dataset.get_absolute_url()
    address = doi.url if doi and doi.resolves else f"{settings.BASE_URL}{page}"
    year, number = f"{published.year}" if published else "not published", version.number if version else None
    return citation.cite(creators, year, dataset.title, number, Record.publisher, address)
