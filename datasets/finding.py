"""Looking up what a request names, among what the person may see."""

from typing import Any

from datasets.access import Visitor, check_curator
from datasets.errors import NotFoundError
from datasets.models import Dataset, Version


def find_dataset(user: Visitor, slug: str) -> Dataset:
    """The dataset, when this person may see it; NotFoundError otherwise."""
    dataset = Dataset.objects.visible_to(user).filter(slug=slug).first()
    if dataset is None:
        raise NotFoundError
    return dataset


def find_curated(user: Visitor, slug: str) -> Dataset:
    """The dataset, when this person may change it; NotFoundError where she may not even see it, ForbiddenError where she may."""
    dataset = find_dataset(user, slug)
    check_curator(user, dataset)
    return dataset


def whole_number(text: str) -> int | None:
    """The number that a form or an address names; None for anything else, also for more digits than any number of ours has."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def find_version(user: Visitor, slug: str, number: int | str) -> Version:
    """The version, when this person may see it; NotFoundError otherwise."""
    dataset = find_dataset(user, slug)
    wanted = Version.objects.visible_to(user).filter(dataset=dataset, number=whole_number(str(number)) or 0)
    version = wanted.prefetch_related("locations").first()
    if version is None:
        raise NotFoundError
    version.dataset = dataset
    return version


def is_on(value: Any) -> bool:
    """Whether a switch of a form or of JSON says yes: absent, empty, 0 and false say no."""
    return str(value or "").strip().lower() not in {"", "0", "false"}
