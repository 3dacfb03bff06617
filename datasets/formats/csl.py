"""CSL-JSON, what citation processors read. Source: https://github.com/citation-style-language/schema/blob/v1.0.2/schemas/input/csl-data.json."""

from typing import Any

from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Maker, Record


def as_json(record: Record) -> str:
    return json_text(item(record))


def item(record: Record) -> dict[str, Any]:
    day = record.published_at
    return without_empty(
        {
            "id": record.identifier,
            "type": "dataset",
            "title": record.title,
            "author": [_name(maker) for maker in record.makers],
            "issued": {"date-parts": [[day.year, day.month, day.day]]},
            "publisher": record.publisher,
            "version": str(record.version),
            "DOI": record.doi,
            "URL": record.identifier,
            "abstract": record.abstract,
            "keyword": ", ".join(record.words),
        }
    )


def _name(maker: Maker) -> dict[str, str]:
    if maker.family_name:
        return {"family": maker.family_name, "given": maker.given_name}
    return {"literal": maker.name}
