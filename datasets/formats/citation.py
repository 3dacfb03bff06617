"""A citation as a line of text. Source: DataCite's recommended citation, https://doi.org/10.14454/3w3z-sa82."""

from datasets.formats.markup import clean
from datasets.formats.record import Record


def as_text(record: Record) -> str:
    year = str(record.published_at.year)
    line = cite(record.creators_in_words, year, record.title, record.version, record.publisher, record.identifier)
    return " ".join(clean(line).split()) + "\n"


def cite(creators: str, year: str, title: str, version: int | None, publisher: str, address: str) -> str:
    """Creators (year): title. Version. Publisher. Address."""
    number = f" Version {version}." if version else ""
    return f"{creators or 'Creator not stated'} ({year}): {title}.{number} {publisher}. {address}"
