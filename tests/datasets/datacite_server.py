"""A DataCite that runs here: `PUT /dois/{doi}` as its REST API documents it, with an account, faults, and a memory of what it was told."""

import base64
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ACCOUNT, PASSWORD, PREFIX = "DEMO.CAUSEWAY", "only-for-tests", "10.80000"


@dataclass
class Datacite:
    """`dois`: attributes by name. `faults`: what the next calls meet: a status, or "lost" for an answer that is lost after the deed."""

    dois: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[int | str] = field(default_factory=list)
    n_calls: int = 0

    def put(self, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        attributes = body["data"]["attributes"]
        if not name.startswith(f"{PREFIX}/"):
            return 403, {"errors": [{"status": "403", "title": "You are not authorized to access this resource."}]}
        if not attributes.get("creators") or not attributes.get("titles") or not attributes.get("publicationYear"):
            return 422, {"errors": [{"source": "creators", "title": "can't be blank"}]}
        is_new = name not in self.dois
        self.dois[name] = attributes
        return (201 if is_new else 200), {"data": {"id": name, "type": "dois", "attributes": attributes}}


def make_server(datacite: Datacite) -> ThreadingHTTPServer:
    """The server on a free port; the caller serves and closes it."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            datacite.n_calls += 1
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            fault = datacite.faults.pop(0) if datacite.faults else None
            if isinstance(fault, int):
                return self.answer(fault, {"errors": [{"status": str(fault), "title": "out of order"}]})
            if self.headers.get("authorization") != "Basic " + base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode()).decode():
                return self.answer(401, {"errors": [{"status": "401", "title": "Bad credentials."}]})
            if self.headers["content-type"] != "application/vnd.api+json":
                return self.answer(415, {"errors": [{"title": "Wrong media type."}]})
            status, told = datacite.put(unquote(self.path.removeprefix("/dois/")), body)
            if fault == "lost":
                return self.connection.close()
            return self.answer(status, told)

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.api+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
