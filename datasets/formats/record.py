"""What every format is written from: one published version of a dataset, described. `datasets.metadata.describing` alone makes it.

All addresses are absolute. What the archive does not know is empty here and stays out of every format. `files` is None where the list is
not told: restricted datasets, and versions with more files than a metadata record should carry.
"""

import datetime as dt
import re
from dataclasses import dataclass, field

SPDX = "https://spdx.org/licenses/"
SPDX_IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Affiliation:
    """An organisation that a creator belongs to."""

    name: str
    ror: str = ""

    @property
    def url(self) -> str:
        return f"https://ror.org/{self.ror}" if self.ror else ""


@dataclass(frozen=True)
class Maker:
    """A creator. What is neither surely a person nor surely a body has no kind."""

    name: str
    orcid: str = ""
    affiliations: tuple[Affiliation, ...] = ()
    ror: str = ""
    """Its own, where the creator is an organisation."""

    @property
    def is_person(self) -> bool:
        """An ORCID, a name written as "Family, Given", or an affiliation other than itself: bodies have none of them."""
        return not self.ror and (bool(self.orcid) or ", " in self.name or bool(self.other_affiliations))

    @property
    def other_affiliations(self) -> list[Affiliation]:
        return [one for one in self.affiliations if one.name != self.name]

    @property
    def url(self) -> str:
        """Where the creator is known: by ORCID or ROR; empty where by neither."""
        return self.orcid_url or (f"https://ror.org/{self.ror}" if self.ror else "")

    @property
    def family_name(self) -> str:
        return self.name.partition(", ")[0] if ", " in self.name else ""

    @property
    def given_name(self) -> str:
        return self.name.partition(", ")[2]

    @property
    def orcid_url(self) -> str:
        return f"https://orcid.org/{self.orcid}" if self.orcid else ""


@dataclass(frozen=True)
class Quantity:
    """A variable of the files."""

    name: str
    standard_name: str = ""
    long_name: str = ""
    units: str = ""

    @property
    def words(self) -> str:
        return self.long_name or self.standard_name.replace("_", " ") or self.name


@dataclass(frozen=True)
class Funding:
    """Who paid, and by which award; `identifier_type` is DataCite's funderIdentifierType."""

    name: str
    identifier: str = ""
    identifier_type: str = ""
    url: str = ""
    award_number: str = ""
    award_title: str = ""
    award_uri: str = ""


@dataclass(frozen=True)
class Related:
    """Another work, and what this one is to it; `relation`, `type` and `resource_type` are DataCite's words."""

    relation: str
    type: str
    identifier: str
    url: str = ""
    resource_type: str = ""
    title: str = ""


@dataclass(frozen=True)
class Keyword:
    """A term of a vocabulary: its path from the top, its own label, where it and its scheme are kept."""

    value: str
    label: str
    identifier: str = ""
    url: str = ""
    scheme_name: str = ""
    scheme_url: str = ""


@dataclass(frozen=True)
class Device:
    """An instrument, or the platform that carries it; `url` where its identifier leads."""

    name: str
    identifier: str = ""
    url: str = ""
    scheme_name: str = ""


@dataclass(frozen=True)
class RecordFile:
    """A file of the version; `url` leads to its bytes."""

    path: str
    size_bytes: int
    sha256: str
    format: str
    url: str

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(self.format, "application/octet-stream")


@dataclass(frozen=True)
class VersionLink:
    number: int
    url: str
    doi: str = ""


@dataclass(frozen=True)
class SeriesLink:
    """The series that a dataset is in."""

    title: str
    url: str
    description: str = ""


@dataclass(frozen=True)
class Record:
    """A published version of a dataset, as the world may know it."""

    id: str
    slug: str
    title: str
    abstract: str
    page_url: str
    """The landing page of the dataset; shows the current version."""
    url: str
    """The landing page of this version."""
    site_url: str
    version: int
    published_at: dt.datetime
    updated_at: dt.datetime
    access_policy: str
    is_current: bool = True
    publisher: str = "Causeway"
    doi: str = ""
    access_note: str = ""
    embargo_ends_on: dt.date | None = None
    """Until this day the files are closed; None under no embargo."""
    licence: str = ""
    makers: tuple[Maker, ...] = ()
    subjects: tuple[str, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    formats: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None
    """(west, south, east, north) in degrees; west > east crosses the antimeridian, no extent is a point."""
    places: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    resolution: str = ""
    """ISO 8601 duration between two times of the data."""
    keywords: tuple[Keyword, ...] = ()
    funding: tuple[Funding, ...] = ()
    related: tuple[Related, ...] = ()
    instruments: tuple[Device, ...] = ()
    platforms: tuple[Device, ...] = ()
    contact_name: str = ""
    source_name: str = ""
    source_url: str = ""
    provenance: str = ""
    n_files: int = 0
    size_bytes: int = 0
    digest: str = ""
    files: tuple[RecordFile, ...] | None = None
    files_url: str = ""
    """The list of files over REST; empty where it is not public."""
    others: tuple[VersionLink, ...] = field(default=())
    series: SeriesLink | None = None
    """The other published versions, newest first."""

    @property
    def identifier(self) -> str:
        """The address that stays: the DOI where there is one, else the landing page of the version. None is invented."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url

    @property
    def licence_url(self) -> str:
        """The SPDX page of the licence; a LicenseRef has none, nor has a licence that is told in words."""
        is_listed = SPDX_IDENTIFIER.fullmatch(self.licence) and not self.licence.startswith("LicenseRef-")
        return f"{SPDX}{self.licence}.html" if is_listed else ""

    @property
    def is_restricted(self) -> bool:
        return self.access_policy == "restricted"

    @property
    def is_open(self) -> bool:
        """Whether anybody may have the files without signing in."""
        return self.access_policy == "public"

    @property
    def point(self) -> tuple[float, float] | None:
        """(longitude, latitude) where the place is one point."""
        return self.box[:2] if self.box and self.box[:2] == self.box[2:] else None

    @property
    def words(self) -> tuple[str, ...]:
        """Subjects, and the labels of keywords that are none of them."""
        known = {subject.casefold() for subject in self.subjects}
        return (*self.subjects, *dict.fromkeys(one.label for one in self.keywords if one.label.casefold() not in known))

    @property
    def period(self) -> str:
        """An ISO 8601 interval, open with `..` where a side is not known; empty without either."""
        if not self.start and not self.end:
            return ""
        return f"{self.start or '..'}/{self.end or '..'}"

    @property
    def creators_in_words(self) -> str:
        return "; ".join(maker.name for maker in self.makers)

    def format_url(self, name: str) -> str:
        """The address of this version in another format."""
        return f"{self.url}&format={name}"


MEDIA_TYPES = {
    "NetCDF": "application/x-netcdf",
    "HDF5": "application/x-hdf5",
    "CSV": "text/csv",
    "GRIB": "application/x-grib",
    "GRIB2": "application/x-grib2",
    "GeoTIFF": "image/tiff; application=geotiff",
    "JSON": "application/json",
    "Text": "text/plain",
    "PDF": "application/pdf",
    "Parquet": "application/vnd.apache.parquet",
}
