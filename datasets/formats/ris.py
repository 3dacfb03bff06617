"""RIS, one tag a line. Source: https://en.wikipedia.org/wiki/RIS_(file_format), which records the vendor's withdrawn specification."""

from datasets.formats.markup import clean
from datasets.formats.record import Record


def as_text(record: Record) -> str:
    day = record.published_at
    lines = [
        ("TY", "DATA"),
        *(("AU", maker.name) for maker in record.makers),
        ("TI", record.title),
        ("PY", f"{day:%Y}"),
        ("DA", f"{day:%Y/%m/%d}"),
        ("PB", record.publisher),
        ("ET", f"Version {record.version}"),
        ("DO", record.doi),
        ("UR", record.identifier),
        *(("KW", subject) for subject in record.words),
        ("AB", record.abstract),
    ]
    told = [f"{tag}  - {' '.join(clean(value).split())}" for tag, value in lines if value]
    return "\r\n".join([*told, "ER  - ", ""])
