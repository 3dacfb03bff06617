"""A real server that answers a node as control does (`services/dtn/PROTOCOL.md`), from a script that the test writes.

It holds no rule of its own: what a token may do, which orders there are and what becomes of them is what the test says.
"""

import hashlib
import ipaddress
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.embedded.addresses import free_port


class LocalCA:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted CA")])
        now = datetime.now(UTC)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, csr_pem, host):
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(self.name)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=20))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


OPTIONS = {
    "sync_level": None,
    "verify_checksum": True,
    "preserve_timestamp": False,
    "skip_source_errors": False,
    "delete_destination_extra": False,
    "filter_rules": [],
    "recursive": True,
    "ignore_missing": False,
}


def rows_of(items, *, kind, checksums, is_recursive):
    """The items of an order as control lists them."""
    if kind == "delete":
        return [{"index": index, "path": path, "recursive": is_recursive} for index, path in enumerate(items)]
    return [
        {
            "index": index,
            "source_path": item[0],
            "destination_path": item[1],
            "recursive": len(item) > 2,
            "checksum": checksums.get(item[0]),
        }
        for index, item in enumerate(items)
    ]


class ScriptedControl:
    """What tests set: `grants[(collection, token)]`, `tickets[ticket]`, `deadlines[order]`;
    what they read: `batches`, `heartbeats`, `finished`."""

    def __init__(self, secret="a-secret-between-us"):
        self.secret = secret
        self.ca = LocalCA()
        self.nodes = {}  # name -> {"url", "instances", "collections"}
        self.grants = {}
        self.revoked = set()
        self.tickets = {}
        self.orders = {}
        self.queue = []
        self.leases = {}
        self.codes = {}
        self.token_forms = []
        self.access_asked = []
        self.unchanged_tickets = []
        self.batches = {}
        self.heartbeats = {}
        self.forgotten = {}  # the last batch that control knows of an order, after it was restored from an older state
        self.finished = {}
        self.actions = {}
        self.deadlines = {}
        self.lock = threading.Lock()
        self.port = free_port()
        self.url = f"http://127.0.0.2:{self.port}"
        self.server = None

    # --- the test's side ---------------------------------------------------------------------------------------------------------

    def add_collection(self, node, *, base_path="/", name="Files", **more):
        collection = str(uuid.uuid4())
        known = self.nodes[node]
        known["collections"].append(
            {
                "id": collection,
                "name": name,
                "base_path": base_path,
                "https_server": f"{known['url']}/{collection}",
                "client_id": collection,
                "authorize_url": f"{self.url}/v2/oauth2/authorize",
                **more,
            }
        )
        return collection

    def grant(self, collection, token, *rules, username="ada@university.example"):
        self.grants[(collection, token)] = {
            "active": True,
            "identity": str(uuid.uuid4()),
            "username": username,
            "rules": [{"path": path, "permissions": permissions} for path, permissions in rules],
        }

    def order(
        self,
        source,
        destination,
        items,
        *,
        kind="copy",
        paths=None,
        engine="https",
        checksums=None,
        action="continue",
        held=False,
        **options,
    ):
        """Queue an order; `items` are (source_path, destination_path[, recursive]) or, for deletes, paths. `action` is told at once.

        Of a task that is `held` the ticket opens nothing, and says so.
        """
        order_id = str(uuid.uuid4())
        self.actions[order_id] = action
        ticket = f"ticket-{order_id}"
        rows = rows_of(items, kind=kind, checksums=checksums or {}, is_recursive=options.get("recursive", True))
        node_url, source_collection = ("", "")
        if kind == "copy":
            node_url, source_collection = source
            self.tickets[ticket] = {
                "collection": source_collection,
                "paths": paths or [row["source_path"] for row in rows],
                "active": not held,
                "held": held,
                "task_id": order_id,
            }
        self.orders[order_id] = {
            "items": rows,
            "ticket": ticket,
            "order": {
                "id": order_id,
                "task_id": order_id,
                "kind": kind,
                "engine": engine,
                "lease_s": 1,
                "source": {
                    "collection": source_collection,
                    "url": f"{node_url}/{source_collection}",
                    "node_url": node_url,
                    "ticket": ticket,
                }
                if kind == "copy"
                else None,
                "destination": {"collection": destination},
                "options": {**OPTIONS, "deadline": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(), **options},
                "n_items": len(rows),
                "last_sequence": 0,
            },
        }
        self.batches[order_id], self.heartbeats[order_id] = {}, []
        self.queue.append(order_id)
        return order_id

    def wait_for_end(self, order_id, timeout_s=60):
        self.wait(lambda: order_id in self.finished, timeout_s, lambda: self.heartbeats[order_id][-3:])
        return self.finished[order_id]

    def wait(self, condition, timeout_s=60, describe=lambda: ""):
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"did not happen in {timeout_s} s: {describe()}")
            time.sleep(0.01)  # polled: there is no event to wait for

    def results(self, order_id):
        return [result for _, batch in sorted(self.batches[order_id].items()) for result in batch["results"]]

    def faults(self, order_id):
        return [beat["fault"]["code"] for beat in self.heartbeats[order_id] if beat["fault"]]

    # --- the node's side ---------------------------------------------------------------------------------------------------------

    def start(self):
        app = Starlette(
            routes=[
                Route("/dtn/v1/register", self._register, methods=["POST"]),
                Route("/dtn/v1/collections", self._collections),
                Route("/dtn/v1/access", self._access, methods=["POST"]),
                Route("/dtn/v1/tickets/check", self._ticket, methods=["POST"]),
                Route("/dtn/v1/orders/lease", self._lease, methods=["POST"]),
                Route("/dtn/v1/orders/{id}/items", self._items),
                Route("/dtn/v1/orders/{id}/heartbeat", self._heartbeat, methods=["POST"]),
                Route("/dtn/v1/orders/{id}/results", self._results, methods=["POST"]),
                Route("/dtn/v1/orders/{id}/finish", self._finish, methods=["POST"]),
                Route("/v2/oauth2/token", self._token, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(
            app, host="127.0.0.2", port=self.port, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.wait(lambda: self.server.started)
        return self

    def stop(self):
        self.server.should_exit = True
        self.thread.join()

    def _refuses(self, request):
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return JSONResponse({"code": "AuthenticationFailed", "message": "wrong secret"}, 401)
        return None

    async def _register(self, request):
        if refusal := self._refuses(request):
            return refusal
        asked = await request.json()
        node = self.nodes[asked["name"]]
        node["instances"].append(asked["instance"])
        node["csr"] = asked["csr"]
        host = asked["url"].split("//")[1].rsplit(":", 1)[0]
        certificate = self.ca.sign(asked["csr"], host) if asked["csr"] else None
        for order_id, instance in list(self.leases.items()):  # a new process of a node frees what the old one held
            if instance in node["instances"][:-1] and order_id not in self.finished:
                self.leases.pop(order_id)
                self.queue.append(order_id)
        return JSONResponse({"certificate": certificate, "ca": self.ca.pem, "collections": node["collections"]})

    async def _collections(self, request):
        everything = [one for node in self.nodes.values() for one in node["collections"]]
        return self._refuses(request) or JSONResponse({"collections": everything})

    async def _access(self, request):
        asked = await request.json()
        self.access_asked.append((asked["collection"], asked["token"], time.monotonic()))
        found = self.grants.get((asked["collection"], asked["token"]))
        nothing = {"active": False, "identity": None, "username": None, "rules": []}
        anonymous = self.grants.get((asked["collection"], None), nothing)["rules"]
        answer = {**(found or nothing), "rule_version": 1, "expires_at": None}
        answer["rules"] = [*answer["rules"], *(anonymous if asked["token"] is not None else [])]
        return self._refuses(request) or JSONResponse(answer)

    async def _ticket(self, request):
        asked = await request.json()
        found = self.tickets.get(asked["ticket"])
        if found is None or found["collection"] != asked["collection"]:
            found = {"active": False, "paths": [], "task_id": None}
        mark = hashlib.sha256(repr(found["paths"]).encode()).hexdigest()
        if found["active"] and asked.get("known") == mark:
            self.unchanged_tickets.append(asked["ticket"])
            found = {**found, "paths": None}
        return self._refuses(request) or JSONResponse({**found, "mark": mark, "rule_version": 1})

    async def _lease(self, request):
        import asyncio

        asked = await request.json()
        end = time.monotonic() + min(asked["wait_s"], 1.0)
        mine = next(node for node in self.nodes.values() if asked["instance"] in node["instances"])
        ids = {collection["id"] for collection in mine["collections"]}
        while time.monotonic() < end:
            if mine["instances"][-1] != asked["instance"]:  # the question of a process that was killed
                return JSONResponse({"code": "InstanceUnknown", "message": "register again"}, 409)
            for order_id in list(self.queue):
                order = self.orders[order_id]["order"]
                if order["destination"]["collection"] in ids:
                    self.queue.remove(order_id)
                    self.leases[order_id] = asked["instance"]
                    order["last_sequence"] = max(self.batches[order_id], default=0)
                    return JSONResponse({"orders": [order]})
            await asyncio.sleep(0.02)
        return JSONResponse({"orders": []})

    async def _items(self, request):
        after, limit = int(request.query_params["after"]), int(request.query_params["limit"])
        rows = [row for row in self.orders[request.path_params["id"]]["items"] if row["index"] > after]
        return JSONResponse({"items": rows[:limit]})

    async def _heartbeat(self, request):
        order_id, asked = request.path_params["id"], await request.json()
        action = self.actions.get(order_id, "continue") if self.leases.get(order_id) == asked["instance"] else "lost"
        self.heartbeats[order_id].append({**asked, "action": action})
        moved = {"deadline": self.deadlines[order_id].isoformat()} if order_id in self.deadlines else {}
        return JSONResponse({"action": action, "lease_s": 1, **moved})

    async def _results(self, request):
        order_id, asked = request.path_params["id"], await request.json()
        kept = self.batches[order_id]
        if order_id in self.forgotten:
            return JSONResponse({"accepted_sequence": self.forgotten[order_id]})
        asked["results"] = [*_one_by_one(asked.pop("transferred", [])), *asked["results"]]
        if asked["sequence"] not in kept:
            assert asked["sequence"] == len(kept) + 1, "batches are numbered without gaps"
            kept[asked["sequence"]] = asked
        else:
            assert kept[asked["sequence"]]["results"] == asked["results"], "a repeated batch is the same batch"
        return JSONResponse({"accepted_sequence": max(kept)})

    async def _finish(self, request):
        self.finished[request.path_params["id"]] = await request.json()
        return JSONResponse({})

    async def _token(self, request):
        form = dict(await request.form())
        self.token_forms.append(form)
        expected = self.codes.pop(form.get("code"), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if expected is None or expected["challenge"] != verifier:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": expected["token"], "expires_in": 3600, "token_type": "Bearer", "scope": "https"})


def _one_by_one(folders):
    """Results that were told by folders, in the form of all others."""
    for folder in folders:
        for name, size, checksum in folder["files"]:
            paths = {"source_path": folder["source_folder"] + name, "destination_path": folder["destination_folder"] + name}
            yield {**paths, "size": size, "checksum": checksum, "status": "transferred", "error_code": None, "error_details": None}
