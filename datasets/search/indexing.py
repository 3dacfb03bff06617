"""The catalogue row of a dataset: the text that searches find, the values that facets count, the words that suggestions know.

It is written by the curating verbs in their own transaction, so there is no second store to drift. Drafts are indexed for their
stewards' eyes; the words of suggestions come from what is published alone.
"""

# ruff: noqa: S608  (statements are put together from this module's own constants; every value is a parameter)

import uuid
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from datasets.models import Dataset
from datasets.search.query import UNSTATED

MOST_DECADES = 60
COUNTERS = 0x63617573  # the key of the advisory lock: who counts words and takes a revision is alone until her transaction ends

COPIED = ("west", "south", "east", "north", "first_day", "last_day", "listed_at", "n_files", "size_bytes")

LISTED = "d.published_at is not null and d.withdrawn_at is null"

# The formats that a version may hold: those of the one before, and those of its own rows. Its first version holds its own rows alone.
FORMATS = """
    select unnest(d.format_facet) as format where v.number > 1
    union
    select fi.format from datasets_folder f join datasets_file fi on fi.folder_id = f.id
    where f.dataset_id = d.id and fi.format <> '' and (v.number = 1 or fi.first_version > 1 or fi.last_version is not null)
        and fi.first_version <= v.number and (fi.last_version is null or fi.last_version >= v.number)
"""
HAS_FORMAT = """
    select from datasets_folder f join datasets_file fi on fi.folder_id = f.id
    where f.dataset_id = d.id and fi.format = candidate.format
        and fi.first_version <= v.number and (fi.last_version is null or fi.last_version >= v.number)
"""

# The version that the catalogue shows: the published one, of others the newest.
CURRENT = "from datasets_version where dataset_id = d.id and status <> 'discarded' order by status = 'published' desc, number desc limit 1"

LIST_FORMATS = f"""
    update datasets_dataset as listed set format_facet = held.formats from (
        select d.id, array(
            select format from ({FORMATS}) candidate where exists ({HAS_FORMAT}) order by format collate "C"
        ) as formats
        from datasets_dataset d left join lateral (select number {CURRENT}) v on true where d.id = any(%(ids)s::uuid[])
    ) held where held.id = listed.id
"""

# What the description and the current version (the draft where none is published) say. `terms` are the words of what is published.
DESCRIBED = f"""
    select d.id, v.published_at, coalesce(root.n_files, 0) as n_files, coalesce(root.size_bytes, 0) as size_bytes,
        made.creators, about.subjects, measured.variables, years.decades,
        replace(concat_ws(' ', about.subjects_text, named.words, made.creators_text, measured.names), '_', ' ') as keywords, measured.names,
        lesser.words as lesser
    from datasets_dataset d
    left join lateral (select number, published_at {CURRENT}) v on true
    left join lateral (
        select s.n_files, s.size_bytes from datasets_folder f join datasets_folderstate s on s.folder_id = f.id
        where f.dataset_id = d.id and f.path = '/' and s.from_version <= v.number order by s.from_version desc limit 1
    ) root on true
    cross join lateral (
        select coalesce(array_agg(name order by position), '{{}}') as creators, string_agg(name, ' ' order by position) as creators_text
        from datasets_creator where dataset_id = d.id
    ) made
    cross join lateral (
        select coalesce(array_agg(distinct name collate "C"), '{{}}') as subjects, string_agg(distinct name, ' ') as subjects_text
        from (
            select s.name from datasets_dataset_subjects l join datasets_subject s on s.id = l.subject_id where l.dataset_id = d.id
            union all
            select case when label = upper(label) and length(label) > 5 then left(label, 1) || lower(substr(label, 2)) else label end
            from jsonb_array_elements(d.keywords) keyword, lateral (select keyword ->> 'label') one (label)
        ) said (name)
    ) about
    cross join lateral (
        select string_agg(word, ' ') as words from (
            select replace(keyword ->> 'value', '>', ' ') from jsonb_array_elements(d.keywords) keyword
            union all select device ->> 'name' from jsonb_array_elements(d.instruments || d.platforms) device
            union all select jsonb_array_elements_text(d.places)
        ) said (word)
    ) named
    cross join lateral (
        select string_agg(word, ' ') as words from (
            select body ->> 'name' from datasets_creator c, jsonb_array_elements(c.affiliations) body where c.dataset_id = d.id
            union all select concat_ws(' ', funder ->> 'name', funder ->> 'award_number', funder ->> 'award_title')
            from jsonb_array_elements(d.funders) funder
            union all select work ->> 'title' from jsonb_array_elements(d.related) work
        ) said (word)
    ) lesser
    cross join lateral (
        select coalesce(array_agg(distinct (coalesce(nullif(standard_name, ''), name)) collate "C"), '{{}}') as variables,
            string_agg(concat_ws(' ', name, standard_name, long_name), ' ') as names
        from datasets_variable where dataset_id = d.id
    ) measured
    cross join lateral (
        select coalesce(array_agg(decade), '{{}}') as decades from (
            select generate_series(extract(year from coalesce(d.temporal_start, d.temporal_end))::int / 10 * 10,
                extract(year from coalesce(d.temporal_end, d.temporal_start))::int, 10) as decade limit {MOST_DECADES}
        ) one
    ) years
    where d.id = any(%(ids)s::uuid[])
"""

# Writes the rows; returns each word by how many more published datasets have it now. All that takes long is made before the lock is taken.
WRITE = f"""
    with before as (select id, search_terms from datasets_dataset where id = any(%(ids)s::uuid[])),
    one as materialized ({DESCRIBED}),
    typed as materialized (
        select d.id, array(
            select distinct word collate "C" from regexp_split_to_table(
                lower(unaccent(concat_ws(' ', d.title, one.keywords, d.abstract))), '[^[:alpha:]]+') as word
            where length(word) between 3 and 40 order by 1
        ) as words
        from datasets_dataset d join one on one.id = d.id where {LISTED}
    ),
    stopped as (
        select word from (select distinct unnest(words) as word from typed) one where to_tsvector('causeway', word) = ''
    ),
    said as (select id, array(select word from unnest(words) as word where word not in (select word from stopped)) as words from typed),
    after as (
        update datasets_dataset d set
            listed_at = coalesce(one.published_at, d.created_at),
            n_files = one.n_files, size_bytes = one.size_bytes, creator_names = one.creators, subject_facet = one.subjects,
            variable_facet = one.variables, decade_facet = one.decades,
            search_terms = coalesce(said.words, '{{}}')
        from one left join said on said.id = one.id where one.id = d.id returning d.search_terms
    ),
    entry as materialized (
        select d.id, d.west, d.south, d.east, d.north, coalesce(d.temporal_start, d.temporal_end) as first_day,
            coalesce(d.temporal_end, d.temporal_start) as last_day, coalesce(one.published_at, d.created_at) as listed_at,
            one.n_files, one.size_bytes,
            to_tsvector('causeway', d.title) as title_vector,
            setweight(to_tsvector('causeway', d.title || ' ' || replace(d.slug, '-', ' ')), 'A')
                || setweight(to_tsvector('causeway', concat_ws(' ', one.keywords, one.names)), 'B')
                || setweight(to_tsvector('causeway', d.abstract), 'C')
                || setweight(to_tsvector('causeway', concat_ws(' ', d.provenance, d.source_name, one.lesser)), 'D') as search_vector
        from datasets_dataset d join one on one.id = d.id
    ),
    alone as materialized (select pg_advisory_xact_lock({COUNTERS}) from (select count(*) as n from entry) made where n >= 0),
    present as (
        update datasets_searchentry e set revision = nextval('datasets_revision'),
            search_vector = entry.search_vector, title_vector = entry.title_vector,
            {", ".join(f"{name} = entry.{name}" for name in COPIED)}
        from entry cross join alone where e.dataset_id = entry.id returning e.dataset_id
    ),
    added as (
        insert into datasets_searchentry (dataset_id, revision, search_vector, title_vector, {", ".join(COPIED)})
        select id, nextval('datasets_revision'), search_vector, title_vector, {", ".join(COPIED)} from entry cross join alone
        where id not in (select dataset_id from present)
    )
    select word, sum(change)::int from (
        select unnest(search_terms) as word, 1 as change from after union all select unnest(search_terms), -1 from before
    ) changed group by word having sum(change) <> 0
"""

PAIRS = f"""
    select d.id, pair.facet, pair.value from datasets_dataset d cross join lateral (
        select 'subject' as facet, unnest(d.subject_facet) as value
        union all select 'variable', unnest(d.variable_facet)
        union all select 'format', unnest(d.format_facet)
        union all select 'decade', unnest(d.decade_facet)::text
        union all select 'licence', coalesce(nullif(d.licence, ''), '{UNSTATED}')
        union all select 'access', d.access_policy
        union all select 'series', slug from datasets_series where id = d.series_id
        union all select 'availability', case when bool_or(is_online) then 'online' else 'cold' end
            from datasets_location where version_id = (select id {CURRENT}) having count(*) > 0
    ) pair where d.id = any(%(ids)s::uuid[])
"""

NAME_VALUES = f"""
    insert into datasets_facetvalue (facet, value) select distinct facet, value from ({PAIRS}) pair
    where not exists (select from datasets_facetvalue known where known.facet = pair.facet and known.value = pair.value)
"""

# The moment of the change is taken under the lock too: who harvests up to the newest one has missed none.
WRITE_VALUES = f"""
    update datasets_dataset d set facet_ids = one.facet_ids, updated_at = clock_timestamp() from (
        select pair.id, array_agg(known.id order by known.id) as facet_ids from ({PAIRS}) pair
        join datasets_facetvalue known on known.facet = pair.facet and known.value = pair.value group by pair.id
    ) one where one.id = d.id
"""

COUNT_WORDS = """
    insert into datasets_searchterm as known (word, n_datasets) select word, change from unnest(%(words)s::text[], %(changes)s::int[])
        as one (word, change)
    on conflict (word) do update set n_datasets = known.n_datasets + excluded.n_datasets
"""

UNCOUNT_WORDS = """
    with fewer as (
        update datasets_searchterm known set n_datasets = known.n_datasets + change
        from unnest(%(words)s::text[], %(changes)s::int[]) as one (word, change) where known.word = one.word
            and known.n_datasets + change > 0
    )
    delete from datasets_searchterm known using unnest(%(words)s::text[], %(changes)s::int[]) as one (word, change)
    where known.word = one.word and known.n_datasets + change <= 0
"""


def index_dataset(dataset: Dataset, *, has_other_files: bool = False) -> None:
    """Write the catalogue row of a dataset from its description and its current version (the draft where none is published).

    `has_other_files`: the version, or its files, are not those of the last time.
    """
    index_datasets([dataset.pk], has_other_files=has_other_files)
    dataset.refresh_from_db()


@transaction.atomic
def index_datasets(ids: Sequence[uuid.UUID], *, has_other_files: bool = False) -> None:
    """Write the catalogue rows of some datasets, in as many statements as for one. Safe to repeat.

    With other files their formats are listed anew, which reads all of them, and so before anybody waits for the counters.
    """
    keys = {"ids": list(ids)}
    with connection.cursor() as cursor:
        cursor.execute("select from datasets_dataset where id = any(%(ids)s::uuid[]) order by id for no key update", keys)
        if has_other_files:
            cursor.execute(LIST_FORMATS, keys)
        cursor.execute(WRITE, keys)
        changed = cursor.fetchall()
        _count_words(cursor, [(word, change) for word, change in changed if change > 0], COUNT_WORDS)
        _count_words(cursor, [(word, change) for word, change in changed if change < 0], UNCOUNT_WORDS)
        cursor.execute(NAME_VALUES, keys)
        cursor.execute(WRITE_VALUES, keys)


def _count_words(cursor: CursorWrapper, changed: Sequence[tuple[str, int]], sql: str) -> None:
    if changed:
        cursor.execute(sql, {"words": [word for word, _ in changed], "changes": [change for _, change in changed]})
