"""Another archive that answers OAI-PMH: real HTTP on loopback, its records and its moods set by the test."""

from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

OAI = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>{}</responseDate>{}</OAI-PMH>'
RECORD = (
    "<record><header{status}><identifier>{id}</identifier><datestamp>{stamp}</datestamp></header><metadata>"
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<dc:title>{title}</dc:title><dc:creator>Ada</dc:creator><dc:publisher>Sea Office</dc:publisher></oai_dc:dc></metadata></record>"
)


@dataclass
class Kept:
    """One record of that archive."""

    identifier: str
    title: str
    stamp: str = "2026-01-01"
    is_deleted: bool = False


@dataclass
class Mood:
    """How it answers: `per_page` records, `before` is called with each question first; it may return (status, headers, body)."""

    per_page: int = 2
    granularity: str = "YYYY-MM-DD"
    now: str = "2026-06-01T00:00:00Z"
    before: Callable[[dict[str, str]], tuple[int, dict[str, str], str] | None] | None = None


class Archive(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, records: list[Kept]) -> None:
        super().__init__(("127.0.0.1", 0), Provider)
        self.records, self.mood, self.seen = records, Mood(), list[dict[str, str]]()
        self.url = f"http://127.0.0.1:{self.server_port}/oai"

    def answer(self, asked: dict[str, str]) -> str:
        if asked["verb"] == "Identify":
            said = f"<repositoryName>Sea Archive</repositoryName><granularity>{self.mood.granularity}</granularity>"
            return OAI.format(self.mood.now, f"<Identify>{said}</Identify>")
        since, _, at = asked.get("resumptionToken", f"{asked.get('from', '')}|0").partition("|")
        found = [one for one in self.records if one.stamp >= since]
        if not found:
            return OAI.format(self.mood.now, '<error code="noRecordsMatch"/>')
        begin, end = int(at), int(at) + self.mood.per_page
        listed = "".join(
            RECORD.format(status=' status="deleted"' if one.is_deleted else "", id=one.identifier, stamp=one.stamp, title=escape(one.title))
            for one in found[begin:end]
        )
        token = f"{since}|{end}" if end < len(found) else ""
        listed += f'<resumptionToken completeListSize="{len(found)}">{token}</resumptionToken>'
        return OAI.format(self.mood.now, f"<ListRecords>{listed}</ListRecords>")


class Provider(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.seen.append(asked)
        told = self.server.mood.before(asked) if self.server.mood.before else None
        status, headers, body = told or (200, {}, self.server.answer(asked))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass
