"""`manage.py push_records [--compare]`: push the record of every published dataset to the Globus Search index, or say what differs."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.errors import RefusedError
from datasets.metadata.pushing import ask_for, outbox
from datasets.models import PushedRecord
from datasets.states import PushStatus
from transfers import globus, pushing, searchdrift

LOOK_S = 0.5


class Command(BaseCommand):
    help = (
        "Push the record of every published dataset to the Globus Search index that CAUSEWAY_SEARCH_INDEX names, in batches, and remove "
        "what is not published any more. Safe to repeat, beside running workers too. --compare pushes nothing and says what differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--compare", action="store_true", help="say what differs between catalogue and index; exit code 1 if anything does"
        )
        parser.add_argument("--wait", type=int, default=600, metavar="SECONDS", help="without progress (default: 600)")

    def handle(self, *, compare: bool, wait: int, **_: Any) -> None:
        if not settings.SEARCH_INDEX:
            raise CommandError("CAUSEWAY_SEARCH_INDEX names no index: nothing is pushed.")
        try:
            if compare:
                self.compare()
            else:
                self.push_all(wait)
        except RefusedError as error:
            raise CommandError(error.detail) from error

    def compare(self) -> None:
        n_found = 0
        for one in searchdrift.compare():
            n_found += 1
            self.stdout.write(f"{one.finding}\t{one.subject}")
        if n_found:
            raise CommandError(f"{n_found} differences. `manage.py push_records` mends them.")
        self.stdout.write("No difference.")

    def push_all(self, wait: int) -> None:
        n_asked = 0
        for rows in searchdrift.pages():
            n_asked += ask_for([row.pk for row in rows])
            pushing.push()
        self.remove_strays()
        self.finish(wait)
        self.stdout.write(f"{n_asked} records pushed to {settings.SEARCH_INDEX}.")

    def remove_strays(self) -> None:
        """Entries of this site for which there is no listed dataset, whatever the outbox remembers of them."""
        for entries in searchdrift.own_entries():
            strays = [one.subject for one in searchdrift.strays(entries)]
            if strays:
                globus.delete_subjects(settings.SEARCH_INDEX, strays)
                self.stdout.write(f"{len(strays)} removed that are not published any more.")

    def finish(self, wait: int) -> None:
        """Push and follow until nothing waits; give up when nothing has moved for a while: the workers go on."""
        last, until = outbox(), time.monotonic() + wait
        while (now := outbox()).n_waiting:
            if now != last:
                last, until = now, time.monotonic() + wait
            if time.monotonic() >= until:
                break
            pushing.push()
            time.sleep(LOOK_S)
        late = PushedRecord.objects.exclude(status=PushStatus.TOLD).exclude(error="").values_list("error", flat=True).first()
        if now.n_waiting or now.n_refused:
            raise CommandError(f"{now.n_waiting} records wait, {now.n_refused} were refused. {late or ''}".strip())
