"""What a running node is: its settings, the collections that control gave it, and what all requests share."""

import logging
import ssl
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.dtn.accounting import Ledger
from services.dtn.certificates import Credentials
from services.dtn.control import Control
from services.dtn.digests import DigestBook
from services.dtn.errors import MissingError, NodeError
from services.dtn.faults import Faults
from services.dtn.gridftp_credentials import GridAuthority
from services.dtn.gridftp_site import GridSite
from services.dtn.paths import Root, normalise
from services.dtn.posix import PosixStorage
from services.dtn.rights import AccessBook
from services.dtn.s3_accounts import Account
from services.dtn.storage import Storage
from services.dtn.uploads import UploadBook

logger = logging.getLogger("dtn")
ASK_AGAIN_S = 1.0  # how long control's "no such collection" holds
READERS = 8
FAR_READERS = 32  # a question to a bucket waits for the network, and keeps its thread meanwhile
LEAST_GAP_S = 0.05  # between two such questions, whatever ids strangers make up


@dataclass(frozen=True)
class Settings:
    name: str
    data: Path
    state: Path
    url: str
    control_url: str
    secret: str
    names_peers: bool = False
    has_faults: bool = False
    workers: int = 8
    near_streams: int = 1
    control_ca: Path | None = None
    accounts: tuple[Account, ...] = ()
    has_hard_links: bool = False
    gridftp: GridSite | None = None


@dataclass(frozen=True)
class Collection:
    id: str
    name: str
    client_id: str
    authorize_url: str
    https_server: str
    scope: str
    storage: Storage


class Node:
    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self.settings = settings
        self.credentials = credentials
        self.instance = str(uuid.uuid4())
        self.readers = ThreadPoolExecutor(FAR_READERS if settings.accounts else READERS, thread_name_prefix="files")
        self.hashers = ThreadPoolExecutor(2, thread_name_prefix="digests")
        self.control = Control(settings.control_url, settings.secret, ca_file=str(settings.control_ca) if settings.control_ca else None)
        self.tokens = AccessBook(self.control.ask_access)
        self.tickets = AccessBook(self.control.ask_ticket)
        self.digests = DigestBook(settings.state / "digests.sqlite3", self.hashers)
        self.gridftp = GridAuthority(settings.state / "gridftp", settings.name)
        self.uploads = UploadBook(settings.state / "uploads.sqlite3")
        self.ledger = Ledger(settings.state / "connections.jsonl", names_peers=settings.names_peers)
        self.faults = Faults(is_enabled=settings.has_faults)
        self.collections: dict[str, Collection] = {}
        self.tls: ssl.SSLContext | None = None  # once the node serves; takes each new certificate into use
        self._unknown: dict[str, float] = {}
        self._refreshed_at = 0.0
        self._asking = threading.Lock()

    def register(self) -> None:
        """Register at control and take over certificate, CA and collections. Safe to repeat; blocks.

        Raises UnavailableError (try again) or ControlError (wrong secret or address).
        """
        settings = self.settings
        csr = self.credentials.request(settings.url)
        answer = self.control.register(name=settings.name, instance=self.instance, node_url=settings.url, csr=csr)
        self.credentials.keep(certificate=answer.get("certificate"), ca=answer.get("ca"))
        if self.tls is not None:
            self.credentials.load_into(self.tls)
        self._take(answer.get("collections") or [])
        logger.info("registered", extra={"facts": {"control": settings.control_url, "collections": len(self.collections)}})

    def collection(self, collection_id: str) -> Collection:
        """Return the collection, asking control anew when it is not known here. Blocks then. Raises MissingError."""
        found = self.collections.get(collection_id)
        if found is not None:
            return found
        with self._asking:
            now = time.monotonic()
            if collection_id not in self.collections and now - self._unknown.get(collection_id, -ASK_AGAIN_S) >= ASK_AGAIN_S:
                time.sleep(max(0.0, self._refreshed_at + LEAST_GAP_S - now))
                self.refresh()
                self._refreshed_at = time.monotonic()
                self._unknown = {one: at for one, at in self._unknown.items() if now - at < ASK_AGAIN_S}
                self._unknown[collection_id] = self._refreshed_at
        found = self.collections.get(collection_id)
        if found is None:
            raise MissingError("No such collection is served here.", code="EndpointNotFound")
        return found

    def forget_upload(self, note: str) -> bool:
        """Remove what an earlier process left unfinished; False when its storage is not known (any more) or does not answer."""
        try:
            return any(collection.storage.forget_upload(note) for collection in self.collections.values())
        except (NodeError, OSError):
            return False

    def refresh(self) -> None:
        """Ask control for the collections; what is known stays when it does not answer."""
        try:
            self._take(self.control.collections())
        except NodeError as error:
            logger.warning("collections not refreshed", extra={"facts": {"code": error.code}})

    def _take(self, listed: list[dict[str, Any]]) -> None:
        taken: dict[str, Collection] = {}
        for one in listed:
            storage = self._storage_of(str(one["base_path"]), one.get("storage") or {})
            if storage is None:
                logger.warning("collection not served: no account for its bucket", extra={"facts": {"collection": one["id"]}})
                continue
            taken[str(one["id"])] = Collection(
                id=str(one["id"]),
                name=str(one.get("name") or one["id"]),
                client_id=str(one.get("client_id") or one["id"]),
                authorize_url=str(one["authorize_url"]),
                https_server=str(one["https_server"]).rstrip("/"),
                scope=str(one.get("scope") or f"https://auth.globus.org/scopes/{one['id']}/https"),
                storage=storage,
            )
        self.collections = taken

    def _storage_of(self, base_path: str, asked: dict[str, Any]) -> Storage | None:
        """Return what a collection is stored in; None for a bucket that this node has no account for."""
        if asked.get("connector", "posix") == "posix":
            return PosixStorage(Root(self._folder_of(base_path), has_hard_links=self.settings.has_hard_links))
        bucket, _, prefix = normalise(base_path).strip("/").partition("/")
        endpoint = asked.get("endpoint")
        account = next((one for one in self.settings.accounts if one.serves(endpoint, bucket)), None)
        if account is None or not bucket:
            return None
        try:
            from services.dtn.objects import open_bucket  # boto3 costs a node without buckets its quick start
        except ModuleNotFoundError as error:
            logger.warning("no bucket can be served", extra={"facts": {"missing": error.name}})
            return None
        return open_bucket(account, bucket, f"{prefix}/" * bool(prefix), self.settings.state / "spool")

    def _folder_of(self, base_path: str) -> Path:
        """Make and return the folder of a collection; a base path that leads out of the data root is refused."""
        data = Root(self.settings.data)
        data.make_folder(base_path)
        with data.place(normalise(base_path)) as place:
            return data.folder / place.real_path.lstrip("/")

    async def close(self) -> None:
        await self.control.close()
        self.readers.shutdown(wait=False, cancel_futures=True)
        self.hashers.shutdown(wait=False, cancel_futures=True)
        self.ledger.shut()
