"""Descriptions of another archive are gathered by OAI-PMH over resumption tokens, within bounds, and never from a private network."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command

from datasets.errors import ClosedAddressError, ForbiddenError, InvalidError, UnavailableError
from datasets.importing import gathering
from datasets.models import Dataset

OAI = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">{}</OAI-PMH>'
RECORD = (
    '<record><header{status}><identifier>oai:x:{id}</identifier></header><metadata><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/'
    '2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title><dc:creator>Ada</dc:creator></oai_dc:dc>'
    "</metadata></record>"
)
DELETED = '<record><header status="deleted"><identifier>oai:x:3</identifier></header></record>'
FIRST = (
    RECORD.format(status="", id=1, title="One") + RECORD.format(status="", id=2, title="") + "<resumptionToken>a&amp;b</resumptionToken>"
)
SECOND = DELETED + RECORD.format(status="", id=4, title="Four") + "<resumptionToken/>"


class Archive(ThreadingHTTPServer):
    seen: list[dict[str, str]]
    url: str


class Provider(BaseHTTPRequestHandler):
    """Another archive: its path chooses what it is like."""

    server: Archive

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.seen.append(asked)
        first = asked.get("resumptionToken") is None
        body = {
            "/oai": OAI.format(f"<ListRecords>{FIRST if first else SECOND}</ListRecords>"),
            "/repeats": OAI.format("<ListRecords><resumptionToken>again</resumptionToken></ListRecords>"),
            "/none": OAI.format('<error code="noRecordsMatch"/>'),
            "/refuses": OAI.format('<error code="badArgument">No such set</error>'),
            "/bomb": '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + OAI.format("&a;"),
            "/page": "<html/>",
            "/large": "x" * 6_000_000,
        }.get(urlsplit(self.path).path, "")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider(settings) -> Iterator[Archive]:
    settings.LINK_NETWORKS = ["127.0.0.0/8"]
    server = Archive(("127.0.0.1", 0), Provider)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_pages_are_followed_and_each_record_stands_alone(db, ben, provider):
    done = list(gathering.gather(f"{provider.url}/oai", user=ben, set_spec="seas", since="2026-01-01"))
    assert [(one.identifier, one.act, one.slug) for one in done] == [
        ("oai:x:1", "new", "one"), ("oai:x:2", "refused", ""), ("oai:x:3", "deleted", ""), ("oai:x:4", "new", "four"),
    ]  # fmt: skip
    assert provider.seen == [
        {"verb": "ListRecords", "metadataPrefix": "oai_dc", "set": "seas", "from": "2026-01-01"},
        {"verb": "ListRecords", "resumptionToken": "a&b"},
    ]
    assert sorted(Dataset.objects.values_list("slug", "origin__identifier")) == [("four", "oai:x:4"), ("one", "oai:x:1")]
    again = [one.act for one in gathering.gather(f"{provider.url}/oai", user=ben)]
    assert (again, Dataset.objects.count()) == (["same", "refused", "deleted", "same"], 2)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/repeats", UnavailableError, "repeats itself"),
        ("/refuses", InvalidError, "No such set"),
        ("/bomb", InvalidError, "document type"),
        ("/page", InvalidError, "no OAI-PMH provider"),
        ("/large", UnavailableError, "more than 5,000,000 bytes"),
        ("/missing", UnavailableError, "answers 404"),
        ("/oai?x=1", InvalidError, "question mark"),
    ],
)
def test_a_provider_that_misbehaves_is_told_and_makes_nothing(db, ben, provider, path, error, words):
    with pytest.raises(error) as refused:
        list(gathering.gather(provider.url + path, user=ben))
    assert words in f"{refused.value.detail} {refused.value.fields}"
    assert not Dataset.objects.exists()


def test_nothing_new_is_no_error_and_a_private_network_is_not_asked(db, ben, ada, provider, settings):
    assert list(gathering.gather(f"{provider.url}/none", user=ben)) == []
    with pytest.raises(ForbiddenError):
        next(gathering.gather(f"{provider.url}/oai", user=ada))
    settings.LINK_NETWORKS = []
    provider.seen.clear()
    with pytest.raises(ClosedAddressError, match="private network"):
        next(gathering.gather(f"{provider.url.replace('127.0.0.1', 'localhost')}/oai", user=ben))
    with pytest.raises(InvalidError) as refused:
        next(gathering.gather(f"{provider.url}/oai", user=ben))
    assert "private network" in refused.value.fields["base_url"][0]
    assert provider.seen == []


def test_the_command_says_what_came_of_each(db, ben, provider, capsys):
    call_command("harvest_descriptions", f"{provider.url}/oai", steward=ben.username, dry_run=True)
    told = capsys.readouterr().out
    assert "Would be done: 1 deleted, 2 new, 1 refused." in told
    assert not Dataset.objects.exists()
    call_command("harvest_descriptions", f"{provider.url}/oai", steward=ben.username)
    assert Dataset.objects.count() == 2
    with pytest.raises(CommandError, match="Nobody is called"):
        call_command("harvest_descriptions", f"{provider.url}/oai", steward="nobody")
