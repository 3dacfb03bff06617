"""The catalogue row of a dataset: the text that searches find, the values that facets count, the words that suggestions know.

It is written by the curating verbs in their own transaction, so there is no second store to drift. Drafts are indexed for their
stewards' eyes; the words of suggestions come from published text alone.
"""

from typing import Any

from django.db import connection, transaction

from datasets.models import Dataset, File, FolderState, Version

MOST_DECADES = 60

VECTOR = """
    update datasets_dataset set search_vector =
        setweight(to_tsvector('causeway', %(title)s), 'A') || setweight(to_tsvector('causeway', %(keywords)s), 'B')
        || setweight(to_tsvector('causeway', %(abstract)s), 'C') || setweight(to_tsvector('causeway', %(rest)s), 'D')
    where id = %(id)s
"""

WORDS = """
    select coalesce(array_agg(distinct word order by word), '{}') from regexp_split_to_table(lower(unaccent(%s)), '[^[:alpha:]]+') as word
    where length(word) between 3 and 40 and to_tsvector('causeway', word) <> ''
"""


@transaction.atomic
def index_dataset(dataset: Dataset) -> None:
    """Write the catalogue row of a dataset from its description and its current version (the draft where none is published)."""
    row = Dataset.objects.select_for_update().get(pk=dataset.pk)
    version = row.versions.filter(status="published").first() or row.versions.first()
    subjects = sorted(row.subjects.values_list("name", flat=True))
    variables = list(row.variables.all())
    root = None
    if version:
        root = (
            FolderState.objects.filter(folder__dataset=row, folder__path="/", from_version__lte=version.number)
            .order_by("-from_version")
            .first()
        )
    row.listed_at = (version.published_at if version else None) or row.created_at
    row.n_files, row.size_bytes = (root.n_files, root.size_bytes) if root else (0, 0)
    row.creator_names = [creator.name for creator in row.creators.all()]
    row.subject_facet = subjects
    row.variable_facet = sorted({variable.label for variable in variables})
    row.format_facet = _formats(version) if version else []
    row.decade_facet = _decades(row)
    names = {word for variable in variables for word in (variable.name, variable.standard_name, variable.long_name)}
    keywords = " ".join([*subjects, *row.creator_names, *sorted(names)]).replace("_", " ")
    texts: dict[str, Any] = {
        "id": row.pk,
        "title": f"{row.title} {row.slug.replace('-', ' ')}",
        "keywords": f"{keywords} {' '.join(sorted(names))}",
        "abstract": row.abstract,
        "rest": f"{row.provenance} {row.source_name}",
    }
    old_terms, row.search_terms = (
        row.search_terms,
        _words(f"{row.title} {keywords} {row.abstract}") if row.is_published and not row.is_withdrawn else [],
    )
    row.save()
    with connection.cursor() as cursor:
        cursor.execute(VECTOR, texts)
    _count_terms(set(row.search_terms) - set(old_terms), set(old_terms) - set(row.search_terms))
    dataset.refresh_from_db()


def _formats(version: Version) -> list[str]:
    files = File.objects.filter(folder__dataset_id=version.dataset_id, first_version__lte=version.number)
    valid = files.filter(last_version=None) | files.filter(last_version__gte=version.number)
    return sorted(name for name in valid.values_list("format", flat=True).distinct() if name)


def _decades(dataset: Dataset) -> list[int]:
    start, end = dataset.temporal_start or dataset.temporal_end, dataset.temporal_end or dataset.temporal_start
    if start is None or end is None:
        return []
    return list(range(start.year // 10 * 10, end.year + 1, 10))[:MOST_DECADES]


def _words(text: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(WORDS, [text])
        return list(cursor.fetchone()[0])


def _count_terms(added: set[str], removed: set[str]) -> None:
    """Count words in and out, in one order, so that two publications at once cannot lock each other out."""
    with connection.cursor() as cursor:
        cursor.execute("select 1 from datasets_searchterm where word = any(%s) order by word for update", [sorted(added | removed)])
        cursor.execute("update datasets_searchterm set n_datasets = n_datasets - 1 where word = any(%s)", [sorted(removed)])
        cursor.execute("delete from datasets_searchterm where word = any(%s) and n_datasets = 0", [sorted(removed)])
        cursor.execute(
            "insert into datasets_searchterm (word, n_datasets) select word, 1 from unnest(%s::text[]) as word order by word "
            "on conflict (word) do update set n_datasets = datasets_searchterm.n_datasets + 1",
            [sorted(added)],
        )
