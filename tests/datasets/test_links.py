"""Links of descriptions are looked at by a worker: dead ones warn, and the portal is not led into a private network."""

import os
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from datasets.curation import checking, publishing, registering
from datasets.description import links, probing
from datasets.models import Link, Version


class Server(ThreadingHTTPServer):
    """Keeps what it was asked: method, path, host."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.seen: list[tuple[str, str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Site(BaseHTTPRequestHandler):
    """/<status> answers so; /drips until the worker's time is over; /no-head likes GET alone; /to/<n> redirects n times."""

    def do_HEAD(self) -> None:
        self.asked()

    def do_GET(self) -> None:
        self.asked()

    def asked(self) -> None:
        assert isinstance(self.server, Server)
        self.server.seen.append((self.command, self.path, self.headers["Host"]))
        name = self.path.strip("/").partition("?")[0]
        if name == "drips":
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.5)
        status = int(name) if name.isdecimal() else 501 if (name, self.command) == ("no-head", "HEAD") else 200
        if name.startswith("to/"):
            left = int(name[3:])
            self.send_response(302)
            self.send_header("Location", f"/to/{left - 1}" if left > 1 else "/200")
        elif name == "inside":
            self.send_response(302)
            self.send_header("Location", "http://10.0.0.1/secret")
        else:
            self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(settings) -> Iterator[Server]:
    settings.LINK_NETWORKS = ["127.0.0.0/8"]
    server = Server()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "is_dead"),
    [
        ("/200", False),
        ("/404", True),
        ("/410", True),
        ("/401", False),
        ("/500", None),
        ("/no-head", False),
        ("/to/5", False),
        ("/to/9", None),
    ],
)
def test_what_the_other_side_answers_is_judged(site, path, is_dead):
    assert links.look(site.url + path).is_dead is is_dead


def test_get_is_asked_only_where_head_was_refused_and_redirects_are_bounded(site):
    links.look(f"{site.url}/200?a=b%20c")
    assert site.seen == [("HEAD", "/200?a=b%20c", site.url.removeprefix("http://"))]
    links.look(f"{site.url}/no-head")
    assert [command for command, *_ in site.seen[1:]] == ["HEAD", "GET"]
    site.seen.clear()
    assert "more than 5 redirects" in links.look(f"{site.url}/to/50").words
    assert len(site.seen) == 6


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/",
        "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[::127.0.0.1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://224.0.0.1/",
    ],
)
def test_a_private_network_is_not_looked_into(settings, url):
    settings.LINK_NETWORKS = []
    looked = links.look(url)
    assert (looked.is_dead, "private" in looked.words) == (None, True)


def test_nor_by_a_redirect(site):
    assert "private" in links.look(f"{site.url}/inside").words


@pytest.mark.parametrize("url", ["ftp://example.org/", "http:///x", "http://a b/", "http://[bad/", f"http://{'a' * 300}.example/"])
def test_an_address_that_is_none_is_told(site, url):
    assert links.look(url).is_dead is None


def described(draft, site, **paths):
    return draft(source_url=f"{site.url}{paths['source']}", related=[{"relation": "Cites", "identifier": f"{site.url}{paths['related']}"}])


def test_a_worker_looks_at_the_links_of_a_draft_and_dead_ones_warn(draft, site, ben, browser):
    version = described(draft, site, source="/200", related="/404")
    waiting = browser(ben).get("/steward/datasets/sea/").content.decode()
    assert waiting.count("Not looked at yet") == 2
    assert probing.is_due()
    assert probing.check_links() == 2
    assert not probing.is_due()
    told = {one.url: (one.is_dead, one.checked_at is not None) for one in Link.objects.filter(dataset=version.dataset)}
    assert told == {f"{site.url}/200": (False, True), f"{site.url}/404": (True, True)}
    (finding,) = [one for one in checking.check(version) if "dead" in one.words]
    assert (finding.field, finding.must, f"{timezone.now():%Y-}" in finding.words) == ("related", False, True)
    page = browser(ben).get("/steward/datasets/sea/").content.decode()
    assert ("Alive" in page, "Dead" in page, "answers 404" in page) == (True, True, True)
    assert [one["is_dead"] for one in browser(ben).get("/api/v1/datasets/sea/versions/1/checks").json()["links"]] == [False, True]
    assert publishing.publish(Version.objects.get(pk=version.pk), user=ben).status == "published", "a dead link blocks nothing"


def test_a_server_that_drips_is_told_and_not_looked_at_for_ever(draft, site, ben):
    def run_out(*_):
        raise SoftTimeLimitExceeded

    draft(source_url=f"{site.url}/drips")
    before = signal.signal(signal.SIGUSR1, run_out)
    try:
        assert probing.check_links() == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    link = Link.objects.get()
    assert (link.is_dead, link.words, link.n_failures, link.claimed_until) == (None, "takes too long to answer", 1, None)
    assert not probing.is_due()


def test_links_follow_the_description_and_are_looked_at_again_when_asked(draft, site, ben, browser, cy):
    dataset = described(draft, site, source="/200", related="/404").dataset
    probing.check_links()
    registering.describe(dataset, user=ben, related=[], source_url=f"{site.url}/200")
    assert list(dataset.links.values_list("url", flat=True)) == [f"{site.url}/200"]
    assert not probing.is_due()
    assert browser(ben).post("/steward/datasets/sea/check-links/").status_code == 302
    assert probing.is_due()
    assert browser(cy).post("/api/v1/datasets/sea/versions/1/checks").status_code == 404
    assert browser(ben).post("/api/v1/datasets/sea/versions/1/checks").json() == {"n_links": 1}


def test_a_server_that_does_not_answer_is_asked_again_soon_and_called_dead_never(draft, site, ben):
    version = described(draft, site, source="/500", related="/500?b")
    for looks in (1, 2, 3):
        Link.objects.update(due_at=timezone.now())
        probing.check_links()
        assert {(one.is_dead, one.n_failures) for one in version.dataset.links.all()} == {(None, looks)}
    soonest = version.dataset.links.earliest("due_at").due_at - timezone.now()
    assert soonest.days >= 6, "after three tries in a row it waits"
    assert [one for one in checking.check(version) if "was not reached" in one.words]


def test_an_archive_may_look_at_none(draft, settings):
    settings.LINK_CHECKS = False
    version = draft(source_url="https://example.org/")
    assert not version.dataset.links.exists()
