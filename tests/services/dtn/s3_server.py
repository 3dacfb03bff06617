"""A real S3 server (rclone's, a process) behind a reverse proxy that notes what a node asks and answers with errors when told to."""

import http.client
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
from botocore.config import Config

from services.embedded.addresses import free_port

HOST = "127.0.0.6"
RCLONE = Path(sys.executable).parent / "rclone"
KEYS = ("AKIACAUSEWAYTESTING0", "a-secret-key-of-the-tests-alone-0123456789")
HOP_FIELDS = {"connection", "transfer-encoding", "keep-alive"}


class S3Server:
    """`url` is the proxy, for nodes; `client` asks the server itself, for tests."""

    def __init__(self, folder):
        self.marker = ".folder"  # rclone keeps no key that ends with a slash
        self.folder = folder / "s3"
        self.folder.mkdir()
        self.port = free_port()
        self.log = (folder / "s3.log").open("wb")
        self.requests = []
        self.faults = []
        self.process = subprocess.Popen(
            [RCLONE, "serve", "s3", "--addr", f"{HOST}:{self.port}", "--auth-key", ",".join(KEYS), "--vfs-cache-mode", "off", self.folder],
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.client = client_of(f"http://{HOST}:{self.port}")
        self.proxy = ThreadingHTTPServer((HOST, 0), _handler(self))
        self.proxy.daemon_threads = True
        self.url = f"http://{HOST}:{self.proxy.server_port}"
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()
        self._wait()

    def _wait(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.05)  # polled: there is no event to wait for
        raise AssertionError("the S3 server does not listen")

    def order_fault(self, method, word, *, status=None, code=None, times=1):
        """Answer the next requests of `method` whose address holds `word` with an S3 error; without a status: do them, answer nothing."""
        self.faults.append({"method": method, "word": word, "status": status, "code": code, "times": times})

    def before(self, method, word, act):
        """Call `act` before the next request of `method` whose address holds `word` is done."""
        self.faults.append({"method": method, "word": word, "act": act, "times": 1})

    def answer(self, method, word, content):
        """Answer the requests of `method` whose address holds `word` with this XML, as a server would that has such keys."""
        self.faults.append({"method": method, "word": word, "status": 200, "content": content, "times": 1000})

    def take_fault(self, method, path):
        for fault in self.faults:
            if fault["times"] and fault["method"] == method and fault["word"] in path:
                fault["times"] -= 1
                return fault
        return None

    def asked(self, method, word):
        return [headers for one, path, headers in self.requests if one == method and word in path]

    def stop(self):
        self.proxy.shutdown()
        self.proxy.server_close()
        self.process.terminate()
        self.process.wait()
        self.log.close()


def client_of(url):
    settings = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2})
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEYS[0], aws_secret_access_key=KEYS[1], config=settings
    )


def _handler(of):
    """The handler of one server."""
    return type("Handler", (_Handler,), {"of": of})


class _Handler(BaseHTTPRequestHandler):
    of: "S3Server"
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.of.requests.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        fault = self.of.take_fault(self.command, self.path)
        if fault is not None and "act" in fault:
            fault["act"]()
            fault = None
        if fault is not None and fault["status"]:
            self.refuse(fault)
            return
        self.pass_on(body, is_answered=fault is None)

    def pass_on(self, body, *, is_answered):
        connection = http.client.HTTPConnection(HOST, self.of.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            if is_answered:
                self.give_back(answer)
            else:
                answer.read()
                self.close_connection = True
        except (OSError, http.client.HTTPException):
            self.close_connection = True
        finally:
            connection.close()

    def give_back(self, answer):
        self.send_response(answer.status)
        content = None
        if answer.getheader("Content-Length") is None and self.command != "HEAD":
            content = answer.read()
            self.send_header("Content-Length", str(len(content)))
        for name, value in answer.getheaders():
            if name.lower() not in HOP_FIELDS:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        while chunk := content if content is not None else answer.read(1 << 18):
            self.wfile.write(chunk)
            content = b"" if content is not None else None

    def refuse(self, fault):
        error = f"<?xml version='1.0'?><Error><Code>{fault.get('code')}</Code><Message>ordered</Message></Error>"
        words = fault.get("content", error).encode()
        self.send_response(fault["status"])
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(words)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815  # the names that http.server asks for

    def log_message(self, *args):
        """Said by `requests`."""
