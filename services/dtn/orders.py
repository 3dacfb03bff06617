"""Orders from control: leased, worked on with heartbeats, reported in numbered batches, finished (`PROTOCOL.md`, section 5).

`Orders` is the loop that leases; `OrderRun` is one order. The copying itself is in `pulling.py`, what survives a kill in `journal.py`.
"""

import contextlib
import logging
import threading
import time
from pathlib import Path
from typing import Any

from services.dtn.control import ControlError
from services.dtn.deleting import Delete
from services.dtn.errors import MissingError, NodeError, UnavailableError
from services.dtn.gridftp import GridCopy
from services.dtn.journal import Item, Journal
from services.dtn.node import Collection, Node
from services.dtn.partials import remove_partials
from services.dtn.progress import Options, Progress
from services.dtn.pulling import Copy
from services.dtn.remote_source import RemoteSource
from services.dtn.rights import access_from
from services.dtn.sources import LocalSource, Source, StoppedError
from services.dtn.storage import Storage

logger = logging.getLogger("dtn.orders")
MOST_ORDERS = 4
MOST_ITEMS = 1000
LEASE_WAIT_S = 20.0
BEAT_S = 3.0
LOOK_S = 0.2
FIRST_WAIT_S = 0.1
MOST_WAIT_S = 3.0
STALE_S = 7 * 86_400.0
FORGOTTEN = "Control lacks results that it had accepted: it was restored from an older state. Submit the task again with a sync level."


class Orders:
    """Leases orders as long as the node runs, and keeps the registration alive: control that comes back hears of this node at once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop = threading.Event()
        self._runs: dict[str, threading.Thread] = {}
        self._active: dict[str, OrderRun] = {}
        self._folder = node.settings.state / "orders"
        self._folder.mkdir(exist_ok=True)

    def start(self) -> None:
        self._sweep()
        threading.Thread(target=self._lease_forever, name="lease", daemon=True).start()

    def stop(self) -> None:
        """Leave everything as it is; a restarted node goes on from the journals."""
        self._stop.set()
        for run in list(self._active.values()):
            run.halt()
        for thread in list(self._runs.values()):
            thread.join(5)

    def _sweep(self) -> None:
        """Clean up after orders that control never leased again (cancelled while this node was down)."""
        for file in self._folder.glob("*.sqlite3"):
            if time.time() - file.stat().st_mtime < STALE_S:
                continue
            journal = Journal(file)
            with contextlib.suppress(NodeError):
                storage = self._node.collection(str(journal.get("destination"))).storage
                remove_partials(journal, storage, order_id=file.stem)
            journal.remove()

    def _lease_forever(self) -> None:
        wait_s = FIRST_WAIT_S
        was_away = False
        while not self._stop.is_set():
            try:
                if was_away:
                    self._node.register()
                    was_away = False
                self._forget_ended()
                free = MOST_ORDERS - len(self._runs)
                if free <= 0:
                    self._stop.wait(0.2)
                    continue
                for order in self._node.control.lease(instance=self._node.instance, wait_s=LEASE_WAIT_S, most=free):
                    self._begin(order)
                wait_s = FIRST_WAIT_S
            except NodeError as error:  # control is away, or does not know this instance any more
                was_away = True
                if not self._stop.is_set():
                    logger.warning("no lease", extra={"facts": {"code": error.code, "reason": error.message}})
                self._stop.wait(wait_s)
                wait_s = min(wait_s * 2, MOST_WAIT_S)

    def _forget_ended(self) -> None:
        for order_id in [order_id for order_id, thread in self._runs.items() if not thread.is_alive()]:
            del self._runs[order_id]
            self._active.pop(order_id, None)

    def _begin(self, order: dict[str, Any]) -> None:
        order_id = str(order["id"])
        former = self._active.get(order_id)
        if former is not None:  # leased anew while the run that lost it still winds down
            former.halt()
            self._runs[order_id].join()
        run = OrderRun(self._node, order, self._folder / f"{Path(order_id).name}.sqlite3")
        thread = threading.Thread(target=run.run, name=f"order-{order_id}", daemon=True)
        self._runs[order_id], self._active[order_id] = thread, run
        thread.start()


class OrderRun:
    """One leased order, from its items to `finish`. `run` blocks, and is called in a thread of its own."""

    def __init__(self, node: Node, order: dict[str, Any], journal_file: Path) -> None:
        self._node = node
        self._order = order
        self._id = str(order["id"])
        self._journal_file = journal_file
        self._halted = threading.Event()
        self._options = Options.read({})
        self._action = "continue"
        self._has_forgotten = False
        self._beat_at = 0.0
        self._beat_every_s = min(BEAT_S, float(order.get("lease_s", 15)) / 3)

    def halt(self) -> None:
        """Stop without a word: the journal stays."""
        self._halted.set()

    def run(self) -> None:
        journal = Journal(self._journal_file)
        try:
            is_over = self._work_through(journal)
        except Exception:  # a sweep over orders: this one is left to its lease, the node goes on
            logger.exception("order given back", extra={"facts": {"order": self._id}})
            is_over = False
        if is_over:
            journal.remove()
        else:
            journal.close()

    def _work_through(self, journal: Journal) -> bool:
        """Return True when control has heard the end, False when the order is left to be leased again."""
        logger.info("order begins", extra={"facts": {"order": self._id, "kind": self._order["kind"], "files": journal.count().files}})
        while not self._halted.is_set():
            try:
                self._take_items(journal)
                job = self._make_job(journal)
                break
            except UnavailableError:
                self._halted.wait(1.0)
            except MissingError as error:  # the destination is no collection of this node
                return self._finish(journal, Progress(journal), "FAILED", {"code": error.code, "description": error.message})
        else:
            return False
        ended = threading.Event()
        outcome: list[BaseException] = []
        worker = threading.Thread(target=_run_job, args=(job, ended, outcome), name=f"work-{self._id}", daemon=True)
        worker.start()
        try:
            while not ended.is_set():
                job.progress.stir.wait(LOOK_S)
                job.progress.stir.clear()
                if ended.is_set() or self._halted.is_set() or self._action in {"cancel", "lost"} or self._has_forgotten:
                    break
                self._tell(journal, job)
        finally:
            self._stop_job(job)
            worker.join()
        if self._halted.is_set() or self._action == "lost":
            return False
        if self._action == "cancel" or self._has_forgotten:
            job.remove_partials()
        elif outcome and not isinstance(outcome[0], StoppedError):
            raise outcome[0]
        return self._finish(journal, job.progress, *self._verdict(journal))

    def _stop_job(self, job: Copy | Delete) -> None:
        job.stop.set()
        job.wake()

    def _take_items(self, journal: Journal) -> None:
        if journal.get("has_items"):
            return
        n_rows = MOST_ITEMS
        while n_rows == MOST_ITEMS:
            rows = self._node.control.items(self._id, after=journal.last_item(), limit=MOST_ITEMS)
            journal.add_items(_item_from(row) for row in rows)
            n_rows = len(rows)
        journal.set("destination", str(self._order["destination"]["collection"]))
        journal.set("has_items", value=True)

    def _make_job(self, journal: Journal) -> Copy | Delete:
        options = self._options = Options.read(self._order.get("options") or {})
        destination = self._destination()
        if self._order["kind"] == "delete":
            return Delete(journal, destination=destination, options=options, faults=self._node.faults)
        if self._order.get("engine") == "gridftp":
            return GridCopy(self._node, journal, order=self._order, source=self._source(), destination=destination, options=options)
        return Copy(self._node, journal, order_id=self._id, source=self._source(), destination=destination, options=options)

    def _destination(self) -> Storage:
        """The destination's storage, in which links lead no further than the order's owner may write."""
        asked = self._order["destination"]
        storage = self._node.collection(str(asked["collection"])).storage
        return storage if asked.get("rules") is None else storage.held_to(access_from(asked["rules"]).may_write)

    def _source(self) -> Source:
        asked = self._order["source"]
        local: Collection | None = None
        if str(asked["node_url"]).rstrip("/") == self._node.settings.url:
            with contextlib.suppress(NodeError):
                local = self._node.collection(str(asked["collection"]))
        if local is not None:
            return LocalSource(asked, self._node, local)
        settings = self._node.settings
        context = self._node.credentials.trusting_context()
        return RemoteSource(asked, context, workers=settings.workers, near_streams=settings.near_streams)

    # --- telling control ---------------------------------------------------------------------------------------------------------

    def _tell(self, journal: Journal, job: Copy | Delete) -> None:
        """Send a heartbeat when one is due or there is a fault to tell, and results when there are some. Control may be away."""
        try:
            since_s = time.monotonic() - self._beat_at
            if since_s >= self._beat_every_s or (job.progress.news.is_set() and since_s >= 0.5):
                self._beat(job)
            self._send_results(journal, job.progress)
        except UnavailableError:
            self._halted.wait(0.5)
        except ControlError as error:
            logger.warning("order refused by control", extra={"facts": {"order": self._id, "code": error.code}})
            self._action = "lost"

    def _beat(self, job: Copy | Delete) -> None:
        job.progress.news.clear()
        self._tell_progress(job.progress)
        if job.is_paused != (self._action == "pause"):
            job.is_paused = self._action == "pause"
            job.wake()

    def _tell_progress(self, progress: Progress) -> None:
        fault = progress.fault
        body = {"instance": self._node.instance, "counters": progress.totals(), "fault": fault}
        self._action, deadline = self._node.control.heartbeat(self._id, body)
        self._options.deadline = deadline or self._options.deadline
        progress.forget_fault(fault)
        self._beat_at = time.monotonic()

    def _send_results(self, journal: Journal, progress: Progress) -> None:
        """Send what is there. Control that was restored from an older state lacks batches that it had accepted: the order cannot go on."""
        while not self._halted.is_set() and not self._has_forgotten:
            batch = journal.next_batch(last_accepted=int(self._order.get("last_sequence", 0)))
            if batch is None:
                return
            told = {"instance": self._node.instance, "counters": progress.totals(), "sequence": batch.number}
            body = {**told, "transferred": batch.arrived, "results": batch.results, "events": batch.events}
            accepted = self._node.control.results(self._id, body)
            if accepted < batch.number:
                self._has_forgotten = True
                logger.error("control has forgotten results", extra={"facts": {"order": self._id, "sent": batch.number, "known": accepted}})
                return
            journal.accept(accepted)

    def _finish(self, journal: Journal, progress: Progress, status: str, fatal: dict[str, str] | None) -> bool:
        """Tell the last results and the end, as often as it takes. False when control says that the order is another's."""
        wait_s = FIRST_WAIT_S
        while not self._halted.is_set():
            try:
                if progress.fault is not None:  # one that was overcome since the last heartbeat
                    self._tell_progress(progress)
                self._send_results(journal, progress)
                status, fatal = self._verdict(journal) if self._has_forgotten else (status, fatal)
                totals = progress.totals()
                self._node.control.finish(
                    self._id, {"instance": self._node.instance, "counters": totals, "status": status, "fatal_error": fatal}
                )
            except UnavailableError:
                self._halted.wait(wait_s)
                wait_s = min(wait_s * 2, MOST_WAIT_S)
            except ControlError as error:
                logger.warning("end refused by control", extra={"facts": {"order": self._id, "code": error.code}})
                return self._action == "cancel"
            else:
                logger.info("order ends", extra={"facts": {"order": self._id, "status": status, **totals}})
                return True
        return False

    def _verdict(self, journal: Journal) -> tuple[str, dict[str, str] | None]:
        if self._action == "cancel":
            return "FAILED", {"code": "CANCELED", "description": "The task was cancelled."}
        if self._has_forgotten:
            return "FAILED", {"code": "INTERNAL_ERROR", "description": FORGOTTEN}
        failure = journal.first_failure()
        if failure is None:
            return "SUCCEEDED", None
        return "FAILED", {"code": failure[0], "description": failure[1]}


def _run_job(job: Copy | Delete, ended: threading.Event, outcome: list[BaseException]) -> None:
    try:
        job.run()
    except BaseException as error:  # noqa: BLE001  # carried over to the order's own thread
        outcome.append(error)
    finally:
        ended.set()
        job.progress.stir.set()


def _item_from(row: dict[str, Any]) -> Item:
    source = str(row.get("source_path") or row.get("path"))
    destination = str(row.get("destination_path") or row.get("path"))
    return Item(int(row["index"]), source, destination, bool(row.get("recursive")), row.get("checksum"))
