"""The descriptions of another archive, gathered by OAI-PMH 2.0 and imported as drafts: page after page, within bounds.

Source: https://www.openarchives.org/OAI/openarchivesprotocol.html; section numbers below are its own. A record that is refused does not
stop the others: a harvest is long, and its next one takes up what was mended.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from django.db import transaction

from datasets import importing
from datasets.access import Visitor
from datasets.curation import registering
from datasets.description import links
from datasets.errors import InvalidError, UnavailableError
from datasets.identifiers import WEB
from datasets.importing import Outcome, Wrong
from datasets.readers import READ, Described, ReadFormat, text_of
from datasets.readers.parsing import LONGEST, local_name, parse_xml

MOST_PAGES, MOST_RECORDS, LONGEST_S = 1_000, 10_000, 1_800
PREFIXES = {
    "oai_dc": "dublin-core",
    "oai_datacite": "datacite-xml",
    "datacite": "datacite-xml",
    "iso19115": "iso19115",
    "iso19139": "iso19115",
}


def gather(
    base_url: str, *, user: Visitor, prefix: str = "oai_dc", set_spec: str = "", since: str = "", is_dry_run: bool = False
) -> Iterator[Outcome]:
    """Import what a provider lists, record by record, as each page comes. Safe to repeat: known records change their drafts.

    `since` is a day or a moment as the provider has them. Raises ForbiddenError unless she is a steward or an operator, InvalidError where
    the provider refuses or says what is no answer, UnavailableError where it does not answer, or has more than `MOST_RECORDS` records.
    """
    registering.check_may_register(user)
    if not WEB.fullmatch(base_url) or "?" in base_url:
        raise InvalidError(fields={"base_url": ["The address of an OAI-PMH provider: https://, without a question mark."]})
    if prefix not in PREFIXES:
        raise InvalidError(fields={"prefix": [f"One of {', '.join(PREFIXES)}."]})
    number = 0
    for page in _pages(base_url, prefix, set_spec, since):
        for record in (one for one in page.iter() if local_name(one) == "record" and "OAI/2.0" in str(one.tag)):
            number += 1
            if number > MOST_RECORDS:
                raise UnavailableError(f"There are more than {MOST_RECORDS:,} records. Ask for a set, or since a day.")
            yield _take(record, number, READ[PREFIXES[prefix]], user, is_dry_run=is_dry_run)


def _pages(base_url: str, prefix: str, set_spec: str, since: str) -> Iterator[Element]:
    """The answers to ListRecords and to each resumption token, which stands alone (section 3.5)."""
    asked = {"verb": "ListRecords", "metadataPrefix": prefix, "set": set_spec, "from": since}
    seen, until = set[str](), time.monotonic() + LONGEST_S
    for _ in range(MOST_PAGES):
        query = urlencode({name: value for name, value in asked.items() if value})
        root = parse_xml(text_of(links.fetch(f"{base_url}?{query}", most_bytes=LONGEST)).lstrip("\ufeff \t\r\n"))
        if local_name(root) != "OAI-PMH":
            raise InvalidError(fields={"base_url": ["This is no OAI-PMH provider."]})
        error = next((one for one in root if local_name(one) == "error"), None)
        if error is not None and error.get("code") == "noRecordsMatch":
            return
        if error is not None:
            raise InvalidError(fields={"base_url": [f"The provider refuses: {error.get('code')}: {(error.text or '')[:300]}"]})
        yield root
        token = next(((one.text or "").strip() for one in root.iter() if local_name(one) == "resumptionToken"), "")
        if not token:
            return
        if token in seen or time.monotonic() > until:
            raise UnavailableError("The provider repeats itself." if token in seen else f"The harvest takes longer than {LONGEST_S} s.")
        seen.add(token)
        asked = {"verb": "ListRecords", "resumptionToken": token}
    raise UnavailableError(f"The provider has more than {MOST_PAGES:,} pages. Ask for a set, or since a day.")


def _take(record: Element, number: int, chosen: ReadFormat, user: Visitor, *, is_dry_run: bool) -> Outcome:
    """One record in a transaction of its own. A deleted one is told: what was imported of it stays."""
    header = next((one for one in record if local_name(one) == "header"), record)
    identifier = next(((one.text or "").strip() for one in header if local_name(one) == "identifier"), "")
    found = chosen.records_of(record)
    if header.get("status") == "deleted" or not found:
        words = "Its source has deleted it; a draft that was made of it stays." if header.get("status") == "deleted" else "It is empty."
        return Outcome(number, "", identifier, wrong=[Wrong("record", words)])
    described: Described = chosen.read(found[0])
    described = replace(described, identifier=described.identifier or identifier)
    with transaction.atomic():
        outcome = importing.import_one(described, number=number, user=user, format_name=chosen.name)
        transaction.set_rollback(is_dry_run)
    return outcome
