"""The OAI-PMH 2.0 provider at /oai. Source: https://www.openarchives.org/OAI/openarchivesprotocol.html; section numbers below are its own.

Which records there are is `harvesting`; how they read is `datasets.formats`. Resumption tokens are signed and hold where the list
goes on, so that the server keeps nothing and any web process answers any page.
"""

import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, register_namespace

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from datasets.errors import NotFoundError
from datasets.formats import datacite, dublin_core, iso19115
from datasets.formats.markup import XSI, add, xml_text
from datasets.formats.record import Record
from datasets.metadata import harvesting
from datasets.metadata.harvesting import Harvested, Selection

OAI = "http://www.openarchives.org/OAI/2.0/"
OAI_SCHEMA = f"{OAI} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd"
OAI_DATACITE = "http://schema.datacite.org/oai/oai-1.1/"
RECORDS_ON_A_PAGE = 100
SETS_ON_A_PAGE = 200
SALT = "datasets.oai"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

register_namespace("", OAI)


class OaiError(Exception):
    """A refusal in the protocol's own words (section 3.6): they are answered with status 200."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


def oai_datacite(record: Record) -> Element:
    """DataCite's own container: https://schema.datacite.org/oai/oai-1.1/oai.xsd."""
    root = Element(f"{{{OAI_DATACITE}}}oai_datacite", {f"{{{XSI}}}schemaLocation": f"{OAI_DATACITE} {OAI_DATACITE}oai.xsd"})
    add(root, f"{{{OAI_DATACITE}}}schemaVersion", "4.6")
    add(root, f"{{{OAI_DATACITE}}}datacentreSymbol", record.publisher)
    add(root, f"{{{OAI_DATACITE}}}payload").append(datacite.as_element(record))
    return root


@dataclass(frozen=True)
class Prefix:
    """A metadata format of the protocol."""

    namespace: str
    schema: str
    write: Callable[[Record], Element]


PREFIXES = {
    "oai_dc": Prefix(dublin_core.OAI_DC, dublin_core.SCHEMA, dublin_core.as_element),
    "datacite": Prefix(datacite.KERNEL, "https://schema.datacite.org/meta/kernel-4.6/metadata.xsd", datacite.as_element),
    "oai_datacite": Prefix(OAI_DATACITE, f"{OAI_DATACITE}oai.xsd", oai_datacite),
    "iso19115-3": Prefix(iso19115.NAMESPACES["mdb"], "https://schemas.isotc211.org/19115/-3/mdb/2.0/mdb.xsd", iso19115.as_element),
}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest) -> HttpResponse:
    """One request of the protocol; by POST the arguments are the form (section 3.1.1)."""
    given = request.POST if request.method == "POST" else request.GET
    root = Element(f"{{{OAI}}}OAI-PMH", {f"{{{XSI}}}schemaLocation": OAI_SCHEMA})
    _tag(root, "responseDate", _moment(timezone.now()))
    try:
        arguments = _checked(given)
        body = VERBS[arguments["verb"]].answer(arguments)
    except OaiError as error:
        told = {} if error.code in {"badVerb", "badArgument"} else {name: str(given[name]) for name in given}
        _tag(root, "request", _base_url(), **told)
        _tag(root, "error", error.words, code=error.code)
    else:
        _tag(root, "request", _base_url(), **arguments)
        root.append(body)
    return HttpResponse(xml_text(root), content_type="text/xml; charset=utf-8")


def identify(_arguments: Mapping[str, str]) -> Element:
    body = Element(f"{{{OAI}}}Identify")
    _tag(body, "repositoryName", "Causeway")
    _tag(body, "baseURL", _base_url())
    _tag(body, "protocolVersion", "2.0")
    address = settings.DEFAULT_FROM_EMAIL.rpartition("<")[2].rstrip(">")
    is_whole = "." in address.rpartition("@")[2]  # the protocol's schema takes no host without a dot, as the default has it
    _tag(body, "adminEmail", address if is_whole else f"{address}.localdomain")
    _tag(body, "earliestDatestamp", _moment(harvesting.earliest_change() or timezone.now()))
    _tag(body, "deletedRecord", "persistent")
    _tag(body, "granularity", "YYYY-MM-DDThh:mm:ssZ")
    return body


def list_metadata_formats(arguments: Mapping[str, str]) -> Element:
    if "identifier" in arguments:
        _find(arguments["identifier"])
    body = Element(f"{{{OAI}}}ListMetadataFormats")
    for name, prefix in PREFIXES.items():
        one = _tag(body, "metadataFormat")
        _tag(one, "metadataPrefix", name)
        _tag(one, "schema", prefix.schema)
        _tag(one, "metadataNamespace", prefix.namespace)
    return body


def list_sets(arguments: Mapping[str, str]) -> Element:
    first = int(_read_token(arguments)["cursor"]) if "resumptionToken" in arguments else 0
    sets = harvesting.list_sets()
    body = Element(f"{{{OAI}}}ListSets")
    for one in sets[first : first + SETS_ON_A_PAGE]:
        told = _tag(body, "set")
        _tag(told, "setSpec", one.spec)
        _tag(told, "setName", one.name)
    following = first + SETS_ON_A_PAGE
    state = {"verb": "ListSets", "cursor": following} if following < len(sets) else None
    _add_token(body, state, size=len(sets), cursor=first)
    return body


def get_record(arguments: Mapping[str, str]) -> Element:
    found = _find(arguments["identifier"])
    body = Element(f"{{{OAI}}}GetRecord")
    _add_record(body, found, _prefix(arguments["metadataPrefix"]))
    return body


def list_headers(arguments: Mapping[str, str]) -> Element:
    """ListIdentifiers and ListRecords: the same list, without and with the metadata."""
    state = _read_token(arguments) if "resumptionToken" in arguments else _new_state(arguments)
    prefix = _prefix(state["prefix"])
    selection = Selection(_parsed(state["since"]), _parsed(state["until"]), state["set"])
    after = (dt.datetime.fromisoformat(state["after"][0]), uuid.UUID(state["after"][1])) if state["after"] else None
    rows = harvesting.list_records(selection, after=after, limit=RECORDS_ON_A_PAGE + 1)
    if not rows:
        raise OaiError("noRecordsMatch", "No record fits these arguments.")
    shown = rows[:RECORDS_ON_A_PAGE]
    body = Element(f"{{{OAI}}}{arguments['verb']}")
    for row in shown:
        if arguments["verb"] == "ListRecords":
            _add_record(body, row, prefix)
        else:
            _add_header(body, row)
    following = None
    size = state.get("size")  # as it was on the first page: to count very many anew would take longer than a page
    if size is None:
        size = harvesting.count_records(selection)
    if len(rows) > len(shown):
        last = [shown[-1].changed_at.isoformat(), str(shown[-1].dataset_id)]
        following = state | {"after": last, "cursor": state["cursor"] + len(shown), "size": size}
    _add_token(body, following, size=size, cursor=state["cursor"])
    return body


@dataclass(frozen=True)
class Verb:
    """What a verb needs and takes; `resumptionToken` stands alone (section 3.5)."""

    answer: Callable[[Mapping[str, str]], Element]
    needed: frozenset[str] = frozenset()
    taken: frozenset[str] = field(default=frozenset())
    is_list: bool = False


_SELECTIVE = frozenset({"from", "until", "set"})
VERBS = {
    "Identify": Verb(identify),
    "ListMetadataFormats": Verb(list_metadata_formats, taken=frozenset({"identifier"})),
    "ListSets": Verb(list_sets, is_list=True),
    "GetRecord": Verb(get_record, needed=frozenset({"identifier", "metadataPrefix"})),
    "ListIdentifiers": Verb(list_headers, needed=frozenset({"metadataPrefix"}), taken=_SELECTIVE, is_list=True),
    "ListRecords": Verb(list_headers, needed=frozenset({"metadataPrefix"}), taken=_SELECTIVE, is_list=True),
}


def _checked(given: QueryDict) -> dict[str, str]:
    """The arguments, each once and known to the verb; OaiError otherwise."""
    verbs = given.getlist("verb")
    if len(verbs) != 1 or verbs[0] not in VERBS:
        raise OaiError("badVerb", f"One verb is needed: {', '.join(VERBS)}.")
    verb = VERBS[verbs[0]]
    repeated = [name for name in given if len(given.getlist(name)) > 1]
    arguments = {name: str(given[name]) for name in given}
    others = set(arguments) - {"verb"}
    if repeated:
        raise OaiError("badArgument", f"Given more than once: {', '.join(sorted(repeated))}.")
    if verb.is_list and "resumptionToken" in others:
        if others != {"resumptionToken"}:
            raise OaiError("badArgument", "A resumption token is given alone.")
        return arguments
    if others - verb.needed - verb.taken:
        raise OaiError("badArgument", f"{verbs[0]} does not take {', '.join(sorted(others - verb.needed - verb.taken))}.")
    if verb.needed - others:
        raise OaiError("badArgument", f"{verbs[0]} needs {', '.join(sorted(verb.needed - others))}.")
    return arguments


def _new_state(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Where a list begins, in the form that tokens carry on."""
    since, until = arguments.get("from", ""), arguments.get("until", "")
    if since and until and len(since) != len(until):
        raise OaiError("badArgument", "`from` and `until` have the same granularity.")
    low, high = _instant(since), _instant(until, is_end=True)
    if low and high and low >= high:
        raise OaiError("badArgument", "`from` is not after `until`.")
    prefix = arguments["metadataPrefix"]
    _prefix(prefix)
    times = {"since": low.isoformat() if low else "", "until": high.isoformat() if high else ""}
    return {"verb": arguments["verb"], "prefix": prefix, "set": arguments.get("set", ""), "after": None, "cursor": 0} | times


def _instant(words: str, *, is_end: bool = False) -> dt.datetime | None:
    """The first moment of a day or second, or the first one after it: both sides are inclusive (section 2.7.1)."""
    if not words:
        return None
    refusal = OaiError("badArgument", "A date looks like 1999-12-31 or 1999-12-31T23:59:59Z.")
    if not DAY.fullmatch(words) and not SECOND.fullmatch(words):
        raise refusal
    step = dt.timedelta(days=1) if DAY.fullmatch(words) else dt.timedelta(seconds=1)
    try:
        moment = dt.datetime.fromisoformat(words)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return moment + step if is_end else moment
    except (ValueError, OverflowError) as error:
        raise refusal from error


def _parsed(moment: str) -> dt.datetime | None:
    return dt.datetime.fromisoformat(moment) if moment else None


def _read_token(arguments: Mapping[str, str]) -> dict[str, Any]:
    """The state that a token carries; OaiError for one that is not ours or of another verb."""
    try:
        state: dict[str, Any] = signing.loads(arguments["resumptionToken"], salt=SALT)
    except signing.BadSignature as error:
        raise OaiError("badResumptionToken", "This token was not given here.") from error
    if state["verb"] != arguments["verb"]:
        raise OaiError("badResumptionToken", f"This token belongs to {state['verb']}.")
    return state


def _add_token(body: Element, state: dict[str, Any] | None, *, size: int, cursor: int) -> None:
    """A token while there is more; an empty one ends a list that had several pages."""
    if state is not None or cursor:
        token = signing.dumps(state, salt=SALT, compress=True) if state else ""
        _tag(body, "resumptionToken", token, completeListSize=str(size), cursor=str(cursor))


def _add_record(body: Element, found: Harvested, prefix: Prefix) -> None:
    one = _tag(body, "record")
    _add_header(one, found)
    if found.record is not None:
        _tag(one, "metadata").append(prefix.write(found.record))


def _add_header(parent: Element, found: Harvested) -> None:
    header = _tag(parent, "header", **({} if found.record else {"status": "deleted"}))
    _tag(header, "identifier", f"{_namespace()}{found.dataset_id}")
    _tag(header, "datestamp", _moment(found.changed_at))
    for spec in found.set_specs:
        _tag(header, "setSpec", spec)


def _find(identifier: str) -> Harvested:
    refusal = OaiError("idDoesNotExist", "There is no such record.")
    if not identifier.startswith(_namespace()):
        raise refusal
    try:
        return harvesting.find_harvested(uuid.UUID(identifier.removeprefix(_namespace())))
    except (ValueError, NotFoundError) as error:
        raise refusal from error


def _prefix(name: str) -> Prefix:
    if name not in PREFIXES:
        raise OaiError("cannotDisseminateFormat", f"The formats are {', '.join(PREFIXES)}.")
    return PREFIXES[name]


def _namespace() -> str:
    return f"oai:{urlsplit(settings.BASE_URL).hostname}:"


def _base_url() -> str:
    return str(settings.BASE_URL + reverse("datasets:oai"))


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tag(parent: Element, name: str, text: object = "", **attributes: str) -> Element:
    return add(parent, f"{{{OAI}}}{name}", text, **attributes)
