"""The facet of series: the top of the tree and what lies directly below each chosen series, each counted with all that is below it.

Only series with something that the person may find are shown, so that no title of another tells what is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasets.search.places import rows

MOST_SIBLINGS = 40

# A dataset is in one series at the most, so the sum over the series below counts each once. Where a series hangs that holds nothing for
# this person is not told by opening the way to it.
SHOWN = """
    with opened as (
        select distinct unnest(one.lineage) as id from datasets_series one where one.slug = any(%(chosen)s::text[]) and exists (
            select from datasets_series below
            where below.lineage @> array[one.id] and (below.n_listed > 0 or below.slug = any(%(slugs)s::text[]))
        )
    )
    select node.id, node.parent_id, node.slug, node.title, cardinality(node.lineage), sum(counted.n)::int,
        node.id in (select id from opened)
    from unnest(%(slugs)s::text[], %(counts)s::int[]) as counted (slug, n)
    join datasets_series own on own.slug = counted.slug cross join unnest(own.lineage) as above (id)
    join datasets_series node on node.id = above.id
    where node.parent_id is null or node.parent_id in (select id from opened)
    group by node.id order by sum(counted.n) desc, node.title, node.slug
"""


@dataclass(frozen=True)
class Branch:
    """A series of the facet; `depth` is 1 at the top of the tree."""

    slug: str
    title: str
    depth: int
    count: int


def branches(counts: Mapping[str, int], chosen: Sequence[str]) -> list[Branch]:
    """The branches to show, each followed by those below it, from the counts of datasets directly in each series. One statement."""
    if not counts:
        return []
    below: dict[int | None, list[tuple[int, Branch]]] = {}
    asked = {"slugs": list(counts), "counts": list(counts.values()), "chosen": list(chosen)}
    for number, parent, slug, title, depth, n, is_opened in rows(SHOWN, asked):
        siblings = below.setdefault(parent, [])
        if is_opened or len(siblings) < MOST_SIBLINGS:
            siblings.append((number, Branch(slug, title, depth, n)))
    shown: list[Branch] = []
    waiting = below.get(None, [])[::-1]
    while waiting:
        number, branch = waiting.pop()
        shown.append(branch)
        waiting += below.get(number, [])[::-1]
    return shown
