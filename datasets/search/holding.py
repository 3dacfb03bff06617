"""What the archive holds as a whole, for its first page: how much is listed, and the subjects of most of it."""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

from datasets.search.counting import Found, most_frequent
from datasets.search.matching import ENTRY, UNLISTED
from datasets.search.places import Places, read, rows

KEPT_S = 600  # in the cache, for a revision of the catalogue: any change makes it anew
FIRST_DAY = "1000-01-01"  # what starts earlier counts the years of a model, not ours

HELD = f"""
    select count(*), coalesce(sum(n_files), 0)::bigint, coalesce(sum(size_bytes), 0)::bigint,
        min(first_day) filter (where first_day >= '{FIRST_DAY}'), max(last_day) filter (where first_day >= '{FIRST_DAY}')
    from {ENTRY} where not exists (select from datasets_dataset d where d.id = e.dataset_id and {UNLISTED})
"""


@dataclass(frozen=True)
class Held:
    """Totals of what is listed; `first` and `last` are the first and last day that the data cover, as far as they are stated."""

    n_datasets: int = 0
    n_files: int = 0
    size_bytes: int = 0
    first: dt.date | None = None
    last: dt.date | None = None


def held_now(*, most_subjects: int) -> tuple[Held, list[tuple[str, int]]]:
    """What is held, and (subject, how many datasets) of the most frequent. At most two statements, the second after a change alone."""
    places, _ = read({}, {})
    return _held(places), list(most_frequent(Found(places, places.listed, places.listed, {}), "subject", most=most_subjects).items())


def _held(places: Places) -> Held:
    if not places.listed:
        return Held()
    key = f"datasets.held:{places.origin.replace(' ', '_')}:{places.revision}"  # a restored database may have the same revision
    with suppress(RedisError):  # then they are summed up each time
        if (kept := cache.get(key)) is not None:
            return Held(*kept)
    summed = rows(HELD, {})[0]
    with suppress(RedisError):
        cache.set(key, summed, KEPT_S)
    return Held(*summed)
