"""Words that may be misspelt: no published dataset and no vocabulary has them, but one that is spelled almost so. They warn, never block.

There is no list of a language behind this: what the archive's own descriptions say is what is known, so a new word of a new field is met
in silence unless it is nearly one that is known.
"""

import re
from collections.abc import Mapping

from django.db import connection, transaction
from django.utils.text import Truncator

from datasets.models import Dataset

SHORTEST, LONGEST = 5, 40
MOST_WORDS, MOST_UNKNOWN = 2_000, 12
LEAST_DATASETS = 2  # in which a word stands that is held to be right
NEAR = 0.3  # trigram similarity: two letters that changed places in a word of seven leave a third of its trigrams
WORD = re.compile(r"[^\W\d_]+")

# Words of the text that nobody else uses, then those spelled alike with another stem.
FIND = """
    with typed as (
        select word, lower(unaccent(word)) as plain, ordinality from unnest(%(words)s::text[]) with ordinality one (word, ordinality)
    ),
    unknown as materialized (
        select typed.*, ts_lexize('english_stem', plain) as stem from typed
        where to_tsvector('causeway', plain) <> '' and not exists (
            select from datasets_searchterm known where known.word = plain and known.n_datasets > (plain = any(%(own)s::text[]))::int
        ) and not exists (select from datasets_term term where term.path ilike '%%' || plain || '%%')
        order by ordinality limit %(most)s
    )
    select unknown.word, near.word from unknown cross join lateral (
        select known.word from datasets_searchterm known
        where known.word %% unknown.plain and known.word <> unknown.plain and abs(length(known.word) - length(unknown.plain)) <= 1
            and known.n_datasets >= %(least)s and ts_lexize('english_stem', known.word) is distinct from unknown.stem
        order by similarity(known.word, unknown.plain) desc, known.n_datasets desc, known.word limit 5
    ) near order by unknown.ordinality
"""


def doubtful(dataset: Dataset, texts: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """(word, what it may mean) by the field of the text that it stands in. Two statements, whatever the texts.

    Names and acronyms (letters that are large within a sentence) are left out, and so is what differs in its ending alone.
    """
    words = {word: name for name, text in texts.items() for word in _words(text)}
    if not words:
        return {}
    asked = list(words)[:MOST_WORDS]
    own = [] if dataset.published_at is None else list(Dataset.with_bin.values_list("search_terms", flat=True).get(pk=dataset.pk) or ())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select set_config('pg_trgm.similarity_threshold', %s, true)", [str(NEAR)])
        cursor.execute(FIND, {"words": asked, "own": own, "most": MOST_UNKNOWN, "least": LEAST_DATASETS})
        pairs = cursor.fetchall()
    found: dict[str, list[tuple[str, str]]] = {}
    seen = set[str]()
    for word, near in pairs:
        if word not in seen and is_one_slip(word.casefold(), near):
            seen.add(word)
            found.setdefault(words[word], []).append((word, near))
    return found


def in_words(pairs: list[tuple[str, str]]) -> str:
    """Perhaps misspelt: tempeature (temperature?), ..."""
    return Truncator(f"Perhaps misspelt: {', '.join(f'{word} ({near}?)' for word, near in pairs[:5])}").chars(400)


def _words(text: str) -> list[str]:
    found = [word for word in WORD.findall(text) if SHORTEST <= len(word) <= LONGEST]
    return list(dict.fromkeys(word for word in found if word[1:].islower() and not _is_name(word, text)))


def _is_name(word: str, text: str) -> bool:
    """Whether a word is written large although no sentence begins with it."""
    if word[0].islower():
        return False
    at = text.find(word)
    before = text[:at].rstrip()
    return bool(before) and before[-1] not in ".!?:;\n"


def is_one_slip(typed: str, meant: str) -> bool:
    """Whether one letter too many, one that lacks, a wrong one, or two that changed places make the difference."""
    at = next((place for place, (one, other) in enumerate(zip(typed, meant, strict=False)) if one != other), min(len(typed), len(meant)))
    one, other = typed[at:], meant[at:]
    return one[1:] == other or one == other[1:] or one[1:] == other[1:] or (one[1::-1] == other[:2] and one[2:] == other[2:])
