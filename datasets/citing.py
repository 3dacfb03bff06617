"""How a version of a dataset is cited."""

from django.conf import settings

from datasets.models import Dataset, Version


def cite(dataset: Dataset, version: Version | None) -> str:
    """Creators (year): title. Version. Address. Source: DataCite's recommended citation, https://doi.org/10.14454/3w3z-sa82."""
    creators = "; ".join(creator.name for creator in dataset.creators.all()) or "Creator not stated"
    published = version.published_at if version else None
    year = f"{published.year}" if published else "not published"
    number = f" Version {version.number}." if version else ""
    address = f"{settings.BASE_URL}{version.get_absolute_url() if version else dataset.get_absolute_url()}"
    return f"{creators} ({year}): {dataset.title}.{number} Causeway. {address}"
