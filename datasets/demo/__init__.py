"""Descriptions of the demonstration's datasets, and the verb that registers them.

`datasets.toml` says of each what its files' own attributes and named public sources say; what neither says is left out. Which files belong
to which slug is laid out by the embedded default; where they are and what they hold is found by a scan.
"""

import tomllib
from pathlib import Path
from typing import Any

from datasets.access import Visitor
from datasets.models import Dataset, Version
from datasets.registering import register

DESCRIPTIONS = Path(__file__).with_name("datasets.toml")


def read_descriptions() -> dict[str, dict[str, Any]]:
    """Slug to description, in the order of the file; each is what `registering.register` takes."""
    with DESCRIPTIONS.open("rb") as file:
        described: dict[str, dict[str, Any]] = tomllib.load(file)
    for description in described.values():
        west, south, east, north = description.pop("bbox", [None] * 4)
        description |= {"west": west, "south": south, "east": east, "north": north}
    return described


def describe_demo(steward: Visitor) -> dict[str, Version]:
    """Register each dataset that is not there yet, as a draft; the latest version of each by slug. Safe to repeat."""
    versions = {}
    for slug, description in read_descriptions().items():
        present = Dataset.objects.filter(slug=slug).first()
        latest = present.versions.first() if present else None
        versions[slug] = latest or register(user=steward, slug=slug, **description)
    return versions
