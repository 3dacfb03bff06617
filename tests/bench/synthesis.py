"""Descriptions that read like an archive's: words by Zipf's law among which some stand in a known share of the datasets."""

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

SHARES = {
    "temperature": 0.40,
    "ocean": 0.20,
    "salinity": 0.05,
    "precipitation": 0.03,
    "chlorophyll": 0.01,
    "permafrost": 0.005,
    "bathythermograph": 0.0001,
}
"""Word -> share of the datasets that have it."""
SYLLABLES = [first + vowel + last for first in "bdfgklmnprstvz" for vowel in "aeiou" for last in ("", "n", "r", "l")]
N_WORDS, N_SUBJECTS, N_VARIABLES = 30_000, 150, 1_000
FORMATS = ("NetCDF", "CSV", "GRIB", "HDF5", "Zarr", "GeoTIFF", "Text", "BUFR")
LICENCES = ("CC-BY-4.0", "CC0-1.0", "OGL-UK-3.0", "CC-BY-NC-4.0", "ODbL-1.0", "")
ACCESS = ("public", "public", "public", "registered", "restricted")
FIRST_DAY = dt.date(1900, 1, 1)


@dataclass(frozen=True)
class Described:
    """What is made up about one dataset."""

    title: str
    abstract: str
    subjects: list[str]
    variables: list[str]
    creators: list[str]
    formats: list[str]
    licence: str
    access: str
    start: dt.date
    end: dt.date
    box: tuple[float, float, float, float]
    size_bytes: int
    n_files: int


def describe(n_datasets: int, *, seed: int = 1) -> Iterator[Described]:
    """The same descriptions each time, for a seed."""
    draw = random.Random(seed)
    words = vocabulary()
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for _ in range(n_datasets):
        text = draw.choices(words, cum_weights=weights, k=90)
        title = draw.choices(words, cum_weights=weights, k=6)
        for word, share in SHARES.items():
            if draw.random() < share:
                (title if draw.random() < 0.1 else text).append(word)
        draw.shuffle(text)
        start = FIRST_DAY + dt.timedelta(days=draw.randrange(44_000))
        west, south = draw.uniform(-180, 150), draw.uniform(-85, 70)
        yield Described(
            title=" ".join(title).capitalize(),
            abstract=f"{' '.join(text).capitalize()}.",
            subjects=sorted({f"Subject {int(draw.paretovariate(0.8)) % N_SUBJECTS}" for _ in range(3)}),
            variables=sorted({f"quantity_{int(draw.paretovariate(0.6)) % N_VARIABLES}" for _ in range(4)}),
            creators=[f"{words[draw.randrange(N_WORDS)].capitalize()}, {letter}." for letter in draw.sample("ABCDEFGH", 2)],
            formats=sorted({draw.choice(FORMATS) for _ in range(2)}),
            licence=draw.choice(LICENCES),
            access=draw.choice(ACCESS),
            start=start,
            end=start + dt.timedelta(days=draw.randrange(6_000)),
            box=(west, south, west + draw.uniform(0, 30), south + draw.uniform(0, 15)),
            size_bytes=int(draw.paretovariate(0.3)) % 10**15,
            n_files=int(draw.paretovariate(0.4)) % 10**7,
        )


def vocabulary() -> list[str]:
    draw = random.Random(0)
    return sorted({"".join(draw.choices(SYLLABLES, k=draw.choice((2, 3, 4)))) for _ in range(2 * N_WORDS)}, key=lambda _: draw.random())[
        :N_WORDS
    ]


def mixed_words(n: int, *, seed: int = 2) -> list[str]:
    """Searches as people write them: one word mostly, two often, from the common to the rare."""
    draw, words = random.Random(seed), vocabulary()
    common = list(SHARES)
    one = [draw.choice(common) if draw.random() < 0.5 else words[int(draw.paretovariate(0.5)) % N_WORDS] for _ in range(n)]
    return [f"{word} {draw.choice(common)}" if draw.random() < 0.3 else word for word in one]
