"""`manage.py reconcile`: compare the portal's grants with the access lists of its collections, and say what differs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.errors import RefusedError
from transfers import reconciling
from transfers.models import Drift


class Command(BaseCommand):
    help = "Compare the portal's grants with the collections' access lists, both ways, and repair what is the portal's own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--report-only", action="store_true", help="repair nothing")

    def handle(self, *, report_only: bool, **_: Any) -> None:
        try:
            run_id = reconciling.reconcile(repair=not report_only)
        except RefusedError as error:
            raise CommandError(error.detail) from error
        findings = Drift.objects.filter(run_id=run_id)
        for one in findings:
            repaired = "repaired" if one.repaired_at else "left as it is"
            self.stdout.write(f"{one.finding}\t{one.collection_id}\t{one.path}\t{one.principal}\t{repaired}")
        self.stdout.write(f"{findings.count()} differences" if findings else "No difference.")
