"""Records that formats are written from: all there is to know, next to nothing, and words that would break a careless writer."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import responses
from django.conf import settings
from django.test import Client

from datasets.formats.record import (
    Affiliation,
    Device,
    Funding,
    Keyword,
    Maker,
    Quantity,
    Record,
    RecordFile,
    Related,
    SeriesLink,
    VersionLink,
)

SITE = "https://data.example.org"
PAGE = f"{SITE}/datasets/sea/"
HOSTILE = "A <b>&amp;</b> \"q\" 's' {x} $y% \\end \u00e6\u6d77\U0001f30a ]]> --> </script><script>alert(1)</script> \x00\x0b\ttab"

BARE = Record(
    id="7d5a4f1e-0000-4000-8000-000000000009",
    slug="sea",
    title="Sea surface temperature",
    abstract="What the sea was like.",
    page_url=PAGE,
    url=f"{PAGE}?version=1",
    site_url=SITE,
    version=1,
    published_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    updated_at=dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
    access_policy="public",
    n_files=1,
    size_bytes=3,
)
RICH = replace(
    BARE,
    url=f"{PAGE}?version=2",
    version=2,
    licence="OGL-UK-3.0",
    makers=(Maker("Met Office"), Maker("Lindqvist, Ada", "0000-0002-1825-0097", (Affiliation("Causeway University"),))),
    subjects=("Ocean", "Climate variability"),
    quantities=(Quantity("t", "sea_surface_temperature", "Temperature of the sea's skin", "K"), Quantity("lat_bnds")),
    formats=("CSV", "NetCDF"),
    box=(-180.0, -5.0, 180.0, 4.5),
    start=dt.date(2006, 4, 1),
    end=dt.date(2010, 9, 30),
    source_name="Donlon et al. (2012)",
    source_url="https://doi.org/10.1016/j.rse.2010.10.017",
    provenance="Computed from daily analyses.",
    n_files=2,
    size_bytes=1_500,
    digest="ab" * 32,
    files=(
        RecordFile("/ostia/a b.nc", 1_000, "ab" * 32, "NetCDF", f"{PAGE}versions/2/https/?path=%2Fostia%2Fa+b.nc"),
        RecordFile("/list.csv", 500, "cd" * 32, "CSV", f"{PAGE}versions/2/https/?path=%2Flist.csv"),
    ),
    files_url=f"{SITE}/api/v1/datasets/sea/versions/2/files/",
    others=(VersionLink(1, f"{PAGE}?version=1"),),
)
FULL = replace(
    RICH,
    makers=(
        Maker("Lindqvist, Ada", "0000-0002-1825-0097", (Affiliation("NCAR", "05cvfcr44"), Affiliation("Causeway University"))),
        Maker("Met Office", ror="01ch2yn61"),
    ),
    keywords=(
        Keyword(
            "EARTH SCIENCE > OCEANS > OCEAN TEMPERATURE > SEA SURFACE TEMPERATURE",
            "SEA SURFACE TEMPERATURE",
            "bd24a9a9-7d52-4c29-b2a0-6cefd216ae78",
            "https://gcmd.earthdata.nasa.gov/kms/concept/bd24a9a9-7d52-4c29-b2a0-6cefd216ae78",
            "GCMD Science Keywords",
            "https://gcmd.earthdata.nasa.gov/kms/concept",
        ),
        Keyword("Ocean", "Ocean"),
    ),
    funding=(
        Funding(
            "National Science Foundation",
            "021nxhr62",
            "ROR",
            "https://ror.org/021nxhr62",
            "1852977",
            "NCAR",
            "https://www.nsf.gov/award/1852977",
        ),
        Funding("The Public"),
    ),
    related=(
        Related("IsDocumentedBy", "DOI", "10.5065/d6mw2f4d", "https://doi.org/10.5065/d6mw2f4d", "Report", "A technical note"),
        Related("IsDerivedFrom", "DOI", "10.1016/j.rse.2010.10.017", "https://doi.org/10.1016/j.rse.2010.10.017"),
        Related("IsPartOf", "ISBN", "978-3-16-148410-0"),
        Related("HasTranslation", "URL", "https://example.org/fr", "https://example.org/fr"),
        Related("References", "arXiv", "arXiv:2101.00001", "https://arxiv.org/abs/arXiv:2101.00001"),
    ),
    instruments=(Device("AVHRR", "e64e83bd", "https://gcmd.earthdata.nasa.gov/kms/concept/e64e83bd"), Device("A rain gauge")),
    platforms=(Device("NOAA-19"),),
    places=("Mauna Loa", "Hawaii"),
    resolution="PT6H",
    contact_name="Grace Hopper",
    series=SeriesLink("Ocean analyses", f"{SITE}/series/ocean/", "What the seas were like."),
)
RECORDS = {
    "bare": BARE,
    "rich": RICH,
    "with a DOI": replace(RICH, doi="10.5072/causeway.sea.2"),
    "across the antimeridian": replace(RICH, box=(170.0, -10.0, -170.0, 10.0), end=None),
    "restricted": replace(RICH, access_policy="restricted", access_note="Ask.", files=None, files_url="", digest=""),
    "another licence": replace(RICH, licence="LicenseRef-Archive", access_policy="registered"),
    "a point": replace(FULL, box=(-155.576, 19.536, -155.576, 19.536)),
    "full": FULL,
    "hostile": replace(
        FULL,
        title=HOSTILE,
        abstract=HOSTILE,
        access_note=HOSTILE,
        licence='All rights "reserved" <by> us',
        makers=(Maker(HOSTILE), Maker(f"{HOSTILE}, {HOSTILE}", "", (Affiliation(HOSTILE),))),
        subjects=(HOSTILE, "and, so; on"),
        quantities=(Quantity(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        source_name=HOSTILE,
        source_url='https://example.org/a?b="<c>&d={e}',
        provenance=HOSTILE,
        places=(HOSTILE,),
        funding=(Funding(HOSTILE, award_number=HOSTILE, award_title=HOSTILE),),
        keywords=(Keyword(HOSTILE, HOSTILE, scheme_name=HOSTILE),),
        related=(Related("Cites", "ISBN", "978-3-16-148410-0", title=HOSTILE),),
        instruments=(Device(HOSTILE, HOSTILE),),
        platforms=(Device(HOSTILE),),
        contact_name=HOSTILE,
        series=SeriesLink(HOSTILE, f"{SITE}/series/ocean/"),
        files=(RecordFile(f"/{HOSTILE}".replace("</", "<"), 1, "", "", f"{PAGE}versions/2/https/?path=%2F%3Cb%3E"),),
    ),
}


@pytest.fixture(params=list(RECORDS))
def record(request: pytest.FixtureRequest) -> Record:
    return RECORDS[request.param]


@pytest.fixture
def rich() -> Record:
    return RICH


@pytest.fixture
def hostile() -> Record:
    return RECORDS["hostile"]


@pytest.fixture
def by_requests(db) -> Iterator[None]:
    """What programs ask of this site with `requests` is answered by it, without a socket between."""

    def answer(request) -> tuple[int, dict[str, str], bytes]:
        given = Client().get(request.path_url, headers={"Accept": request.headers.get("Accept", "*/*")})
        return given.status_code, dict(given.headers), given.content

    with responses.RequestsMock(assert_all_requests_are_fired=False) as site:
        site.add_callback(responses.GET, re.compile(re.escape(settings.BASE_URL) + "/.*"), callback=answer, content_type=None)
        yield
