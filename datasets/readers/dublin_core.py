"""Dublin Core as OAI-PMH carries it (`oai_dc`). It says little, and which of several dates or identifiers is which it does not say.

The writer is `datasets.formats.dublin_core`. Source: https://www.openarchives.org/OAI/2.0/guidelines-oai_dc.htm.
"""

import re
from xml.etree.ElementTree import Element

from datasets.readers.described import Described, identifier_of, state_box, state_period, text
from datasets.readers.parsing import local_name

LIMITS = ("westlimit", "southlimit", "eastlimit", "northlimit")
LONGEST_PERIOD = 100
# Repetitions have ends, here as in all that is read of strangers: else some words of theirs take hours.
LIMIT = re.compile(rf"\b({'|'.join(LIMITS)})\s{{0,20}}=\s{{0,20}}(-?[\d.]{{1,40}}(?:e-?\d{{1,3}})?)", re.IGNORECASE)
PERIOD = re.compile(r"[\d.-]*\d[\d.-]*/[\d.-]*|\.\./[\d-]+")


def records_of(root: Element) -> list[Element]:
    return [one for one in root.iter() if local_name(one) == "dc" and "oai_dc" in str(one.tag)]


def read(root: Element) -> Described:
    """One `oai_dc:dc`."""
    said: dict[str, list[str]] = {}
    for one in root:
        if text(one.text):
            said.setdefault(local_name(one), []).append(text(one.text))
    found = Described()
    named = said.pop("identifier", [])
    found.identifier = identifier_of(next((one for one in named if identifier_of(one).startswith("doi:")), named[0] if named else ""))
    found.state("title", said.pop("title", [""])[0])
    found.state("creators", [{"name": name, "orcid": "", "ror": "", "affiliations": []} for name in said.pop("creator", [])])
    found.state("abstract", "\n\n".join(said.pop("description", [])))
    found.state("subjects", said.pop("subject", []))
    for at, words in enumerate(said.pop("rights", [])):
        if words.startswith("info:eu-repo/semantics/"):
            found.state("access_policy", "public" if words.endswith("openAccess") else "restricted")
        else:
            found.state_licence(f"rights.{at}", words)
    _read_coverage(said.pop("coverage", []), found)
    leading = [one for one in said.get("relation", []) if one.startswith("http") or identifier_of(one).startswith("doi:")]
    found.state("related", [{"relation": "References", "type": "", "identifier": one} for one in leading])
    said["relation"] = [one for one in said.get("relation", []) if one not in leading]
    for name, values in said.items():
        for at, words in enumerate(values):
            if (name, words) != ("type", "Dataset") and name != "format":
                found.leave(f"{name}.{at}", f"{words}: a description here has no place for it.")
    return found


def _read_coverage(told: list[str], found: Described) -> None:
    """A period, a box by its limits (https://www.dublincore.org/specifications/dublin-core/dcmi-box/), else the name of a place."""
    places = []
    for at, words in enumerate(told):
        limits = {name.lower(): degrees for name, degrees in LIMIT.findall(words)}
        if limits:
            state_box(found, f"coverage.{at}", [limits.get(name, "") for name in LIMITS])
        elif len(words) <= LONGEST_PERIOD and PERIOD.fullmatch(words):
            state_period(found, f"coverage.{at}", words)
        else:
            places.append(words)
    found.state("places", places)
