"""BibTeX: an @misc entry, which every style knows."""

import re

from datasets.formats.markup import clean
from datasets.formats.record import Maker, Record

ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
SPECIAL = re.compile(r"[\\{}$&#_%~^]")


def as_text(record: Record) -> str:
    fields = {
        "author": " and ".join(_author(maker) for maker in record.makers),
        "title": f"{{{_escape(record.title)}}}",
        "year": str(record.published_at.year),
        "publisher": _escape(record.publisher),
        "version": str(record.version),
        "doi": record.doi,
        "url": record.identifier,
        "keywords": _escape(", ".join(record.words)),
        "note": f"Dataset, version {record.version}",
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{record.slug}-v{record.version},\n" + ",\n".join(lines) + "\n}\n"


def _author(maker: Maker) -> str:
    """Names of bodies, and names whose parts are not known, in braces: BibTeX would tear them apart."""
    return _escape(maker.name) if maker.family_name else f"{{{_escape(maker.name)}}}"


def _escape(words: str) -> str:
    return SPECIAL.sub(lambda found: ESCAPES[found.group()], " ".join(clean(words).split()))
