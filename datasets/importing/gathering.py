"""What another archive lists by OAI-PMH 2.0, page by page and within bounds, and one record of it taken as a draft.

Source: https://www.openarchives.org/OAI/openarchivesprotocol.html; section numbers below are its own. A record that is refused does not
stop the others: a harvest is long, and its next one takes up what was mended. Harvests that go on over kills are in `harvests`.
"""

import datetime as dt
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from django.db import transaction

from datasets import importing
from datasets.access import Visitor
from datasets.curation import registering
from datasets.description import links
from datasets.errors import ClosedAddressError, InvalidError, UnavailableError
from datasets.identifiers import WEB
from datasets.importing import Outcome, Wrong
from datasets.readers import READ, Described, text_of
from datasets.readers.parsing import LONGEST, local_name, parse_xml

MOST_PAGES, MOST_RECORDS, LONGEST_S = 1_000, 10_000, 1_800
PREFIXES = {
    "oai_dc": "dublin-core",
    "oai_datacite": "datacite-xml",
    "datacite": "datacite-xml",
    "iso19115": "iso19115",
    "iso19139": "iso19115",
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
# What the protocol's codes of errors mean for who asked, by the field that she can change (section 3.6).
WORDS = {
    "badArgument": ("base_url", "The provider does not understand the question"),
    "badVerb": ("base_url", "This provider does not list its records"),
    "cannotDisseminateFormat": ("prefix", "The provider does not give its records in this format"),
    "noSetHierarchy": ("set", "The provider has no sets: leave the set empty"),
    "badResumptionToken": ("base_url", "The provider has forgotten where the list was"),
}


@dataclass(frozen=True)
class Identity:
    """What a provider says of itself: its name, and `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ssZ`."""

    repository: str
    granularity: str


@dataclass(frozen=True)
class Page:
    """One answer to ListRecords: its records, the token of the next page (empty on the last), how many records the provider says there are.

    `answered_at` is the provider's clock, in UTC to the second; empty where it cannot be read. `is_lost` says that it does not know the
    token any more: the list begins anew.
    """

    records: list[Element]
    token: str = ""
    n_announced: int | None = None
    answered_at: str = ""
    is_lost: bool = False


def check_order(base_url: str, prefix: str, since: str = "", until: str = "") -> None:
    """Raise InvalidError naming every wrong field of what is to be harvested."""
    wrong: dict[str, list[str]] = {}
    if not WEB.fullmatch(base_url) or "?" in base_url or len(base_url) > 500:
        wrong["base_url"] = ["The address of an OAI-PMH provider: https://, without a question mark."]
    else:
        try:
            links.check_host(base_url)
        except ClosedAddressError as error:
            wrong["base_url"] = [error.detail]
    if prefix not in PREFIXES:
        wrong["prefix"] = [f"One of {', '.join(PREFIXES)}."]
    wrong |= {
        name: ["A day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z."]
        for name, told in (("since", since), ("until", until))
        if told and not MOMENT.fullmatch(told)
    }
    if since and until and not wrong and (len(since) != len(until) or since > until):
        wrong["until"] = ["Not before the beginning, and written like it."]
    if wrong:
        raise InvalidError(fields=wrong)


def identify(base_url: str) -> Identity:
    """What the provider says of itself (section 4.2). Raises InvalidError for what is none, UnavailableError."""
    found = {local_name(one): " ".join((one.text or "").split()) for one in _ask(base_url, {"verb": "Identify"}).iter()}
    if "repositoryName" not in found:
        raise InvalidError(fields={"base_url": ["This is no OAI-PMH provider: it does not say who it is."]})
    return Identity(found["repositoryName"][:300], found.get("granularity", "")[:20])


def list_records(base_url: str, *, prefix: str, set_spec: str = "", since: str = "", until: str = "", token: str = "") -> Page:
    """One page; a token stands alone (section 3.5).

    InvalidError where the provider refuses, ClosedAddressError where it is never asked, UnavailableError where it is not there.
    """
    asked = {"verb": "ListRecords", "metadataPrefix": prefix, "set": set_spec, "from": since, "until": until}
    root = _ask(base_url, {"verb": "ListRecords", "resumptionToken": token} if token else asked)
    answered_at = next((_moment(one.text or "") for one in root if local_name(one) == "responseDate"), "")
    error = next((one for one in root if local_name(one) == "error"), None)
    if error is not None and error.get("code") == "noRecordsMatch":
        return Page([], answered_at=answered_at)
    if error is not None and error.get("code") == "badResumptionToken" and token:
        return Page([], is_lost=True, answered_at=answered_at)
    if error is not None:
        field, words = WORDS.get(error.get("code", ""), ("base_url", f"The provider refuses: {error.get('code', '')[:40]}"))
        raise InvalidError(fields={field: [f"{words}. It says: {' '.join((error.text or 'nothing').split())[:300]}"]})
    records = [one for one in root.iter() if local_name(one) == "record" and "OAI/2.0" in str(one.tag)]
    resumption = next((one for one in root.iter() if local_name(one) == "resumptionToken"), None)
    announced = resumption.get("completeListSize", "") if resumption is not None else ""
    n_announced = int(announced) if announced.isdecimal() and len(announced) < 12 else None
    return Page(records, ((resumption.text or "").strip() if resumption is not None else ""), n_announced, answered_at)


def _moment(told: str) -> str:
    """A moment as a question may name it (section 3.3), also of a provider that writes fractions of seconds or a zone."""
    try:
        moment = dt.datetime.fromisoformat(told.strip())
        moment = moment.astimezone(dt.UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    return f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def _ask(base_url: str, asked: dict[str, str]) -> Element:
    query = urlencode({name: value for name, value in asked.items() if value})
    content = links.fetch(f"{base_url}?{query}", most_bytes=LONGEST)
    try:
        root = parse_xml(text_of(content).lstrip("\ufeff \t\r\n"))
    except InvalidError as error:
        raise InvalidError(fields={"base_url": [f"What this address answers cannot be read. {error.detail}"]}) from error
    if local_name(root) != "OAI-PMH":
        raise InvalidError(fields={"base_url": ["This is no OAI-PMH provider."]})
    return root


def gather(
    base_url: str, *, user: Visitor, prefix: str = "oai_dc", set_spec: str = "", since: str = "", is_dry_run: bool = False
) -> Iterator[Outcome]:
    """Import what a provider lists, record by record, as each page comes. Safe to repeat: known records change their drafts.

    `since` is a day or a moment as the provider has them. Raises ForbiddenError unless she is a steward or an operator, InvalidError where
    the provider refuses or says what is no answer, UnavailableError where it does not answer, or has more than `MOST_RECORDS` records.
    """
    registering.check_may_register(user)
    check_order(base_url, prefix, since)
    number = 0
    for page in _pages(base_url, prefix, set_spec, since):
        for record in page.records:
            number += 1
            if number > MOST_RECORDS:
                raise UnavailableError(f"There are more than {MOST_RECORDS:,} records. Ask for a set, or since a day.")
            yield take(record, number, prefix, user, is_dry_run=is_dry_run)


def _pages(base_url: str, prefix: str, set_spec: str, since: str) -> Iterator[Page]:
    token, seen, until = "", set[str](), time.monotonic() + LONGEST_S
    for _ in range(MOST_PAGES):
        page = list_records(base_url, prefix=prefix, set_spec=set_spec, since=since, token=token)
        if page.is_lost:
            raise UnavailableError("The provider has forgotten where the list was. Begin again.")
        yield page
        token = page.token
        if not token:
            return
        if token in seen or time.monotonic() > until:
            raise UnavailableError("The provider repeats itself." if token in seen else f"The harvest takes longer than {LONGEST_S} s.")
        seen.add(token)
    raise UnavailableError(f"The provider has more than {MOST_PAGES:,} pages. Ask for a set, or since a day.")


def header_of(record: Element) -> tuple[str, str]:
    """(identifier, datestamp) of a record, the provider's own."""
    said = {local_name(one): (one.text or "").strip() for header in record if local_name(header) == "header" for one in header}
    return said.get("identifier", ""), said.get("datestamp", "")


def take(record: Element, number: int, prefix: str, user: Visitor, *, is_dry_run: bool = False) -> Outcome:
    """One record in a transaction of its own. A deleted one is told: what was imported of it stays."""
    chosen = READ[PREFIXES[prefix]]
    identifier, _ = header_of(record)
    if any(local_name(one) == "header" and one.get("status") == "deleted" for one in record):
        words = "Its source has deleted it; a draft that was made of it stays."
        return Outcome(number, "", identifier, act="deleted", wrong=[Wrong("record", words)])
    found = chosen.records_of(record)
    if not found:
        return Outcome(number, "", identifier, wrong=[Wrong("record", f"It holds no {chosen.words}.")])
    described: Described = chosen.read(found[0])
    described = replace(described, identifier=described.identifier or identifier)
    with transaction.atomic():
        outcome = importing.import_one(described, number=number, user=user, format_name=chosen.name)
        transaction.set_rollback(is_dry_run)
    return outcome
