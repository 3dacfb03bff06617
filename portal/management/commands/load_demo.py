"""`manage.py load_demo`: register the demonstration's datasets, have their files scanned by a worker, publish them.

Goes the way that a steward goes in the browser, so it also shows that this way works. Safe to repeat: what is published stays as it is.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum

from datasets.curation import publishing, registering
from datasets.demo import describe_demo
from datasets.errors import RefusedError
from datasets.models import ScanRun, Version
from datasets.scans import ingesting
from datasets.states import ScanStatus
from portal import auth, signin
from portal.models import User

ASK_EVERY_S = 1.0


class Command(BaseCommand):
    help = "Register, scan and publish the demonstration's archive. Needs a running worker, the graph service and the archive's node."

    requires_system_checks: list[str] = []  # the processes that serve were checked already

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--steward", default="ben@archive.example", help="who curates the datasets (a username in Globus)")
        parser.add_argument("--timeout", type=float, default=900, help="seconds to wait for the scans")

    def handle(self, *, steward: str, timeout: float, **_: Any) -> None:
        try:
            person = find_person(steward)
            drafts = [version for version in describe_demo(person).values() if version.is_draft]
            scans = {ask_for_scan(version, person): version for version in drafts}
            self.wait(list(scans), deadline=time.monotonic() + timeout)
            for version in scans.values():
                publishing.publish(version, user=person)
        except RefusedError as error:
            raise CommandError(f"{error} {error.fields or ''}") from error
        self.stdout.write(f"{len(scans)} datasets published now, {Version.objects.published().count()} in all")

    def wait(self, scan_ids: list[int], *, deadline: float) -> None:
        """Until every scan has ended, saying how far they are. Raises CommandError for one that failed, or when time is up."""
        said = ""
        while True:
            runs = ScanRun.objects.filter(pk__in=scan_ids)
            ended = runs.filter(status__in=[ScanStatus.DONE, ScanStatus.FAILED]).count()
            sums = runs.aggregate(files=Sum("n_files"), inspected=Sum("n_inspected"))
            words = f"{ended} of {len(scan_ids)} datasets scanned, {sums['files'] or 0} files listed, {sums['inspected'] or 0} inspected"
            if words != said:
                self.stdout.write(words)
                said = words
            if ended == len(scan_ids):
                break
            if time.monotonic() > deadline:
                raise CommandError("the scans do not come to an end; the worker's log says why")
            time.sleep(ASK_EVERY_S)
        failed = [f"{run.version.dataset.slug}: {run.error}" for run in runs.filter(status=ScanStatus.FAILED)]
        if failed:
            raise CommandError("scans failed:\n" + "\n".join(failed))


def find_person(named: str) -> User:
    """The user that Globus knows by this name, with her groups, as if she had signed in."""
    principal = auth.find_principal(named)
    person, _ = User.objects.get_or_create(id=principal.id, defaults={"username": principal.name})
    signin.refresh_groups_of(person)
    return User.objects.get(pk=person.pk)


def ask_for_scan(version: Version, person: User) -> int:
    """Place the draft in the archive's collection, in the folder of its name, and queue its scan. Safe to repeat."""
    open_scan = version.scans.open().first()
    if open_scan is None:
        collection_id = uuid.UUID(settings.ARCHIVE_COLLECTION)
        registering.place(version, user=person, base_path=f"/{version.dataset.slug}/", collection_id=collection_id)
    return ingesting.request_scan(version, user=person, is_automatic=True).pk
