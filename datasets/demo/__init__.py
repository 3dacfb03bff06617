"""Descriptions of the demonstration's datasets, excerpts of vocabularies for them, and the verbs that register and load them.

`datasets.toml` says of each what its files' own attributes and named public sources say; what neither says is left out. Which files belong
to which slug is laid out by the embedded default; where they are and what they hold is found by a scan.
"""

import tomllib
from pathlib import Path
from typing import Any

from datasets.access import Visitor
from datasets.curation.registering import register
from datasets.description.loading import load_keywords, load_standard_names
from datasets.models import Dataset, Version, Vocabulary

KEYWORDS = ("gcmd-science-keywords.csv", "gcmd-instruments.csv", "gcmd-platforms.csv")
DESCRIPTIONS = Path(__file__).with_name("datasets.toml")


def read_descriptions() -> dict[str, dict[str, Any]]:
    """Slug to description, in the order of the file; each is what `registering.register` takes."""
    with DESCRIPTIONS.open("rb") as file:
        described: dict[str, dict[str, Any]] = tomllib.load(file)
    for description in described.values():
        west, south, east, north = description.pop("bbox", [None] * 4)
        description |= {"west": west, "south": south, "east": east, "north": north}
    return described


def load_demo_vocabularies() -> None:
    """Load the excerpts where nothing is loaded yet: an operator's whole lists stay. Safe to repeat.

    GCMD keywords, version 14.3: a work of the United States government, in the public domain. CF standard names, version 93: CC0.
    """
    if Vocabulary.objects.exists():
        return
    for name in KEYWORDS:
        load_keywords(DESCRIPTIONS.with_name(name).read_text(encoding="utf-8"), is_whole=False)
    load_standard_names(DESCRIPTIONS.with_name("cf-standard-names.xml").read_text(encoding="utf-8"), is_whole=False)


def describe_demo(steward: Visitor) -> dict[str, Version]:
    """Register each dataset that is not there yet, as a draft; the latest version of each by slug. Safe to repeat."""
    load_demo_vocabularies()
    versions = {}
    for slug, description in read_descriptions().items():
        present = Dataset.objects.filter(slug=slug).first()
        latest = present.versions.first() if present else None
        versions[slug] = latest or register(user=steward, slug=slug, **description)
    return versions
