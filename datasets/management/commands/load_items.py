"""`manage.py load_items SLUG TABLE --as USERNAME`: load the items of a dataset's draft from a CSV of any length."""

from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.errors import RefusedError
from datasets.items import loading as itemloading
from datasets.models import Version


class Command(BaseCommand):
    help = "Load the items of a dataset's draft from a CSV file. All that is wrong is listed by line, and then nothing is changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="the dataset's short name")
        parser.add_argument("table", type=Path, help="a CSV in UTF-8")
        parser.add_argument("--as", dest="username", required=True, help="the steward or operator on whose behalf it is done")
        parser.add_argument("--dry-run", action="store_true", help="only look")
        parser.add_argument("--complete", action="store_true", help="remove the items that the table does not name")

    def handle(self, *, slug: str, table: Path, username: str, dry_run: bool = False, complete: bool = False, **_: Any) -> None:
        person = get_user_model().objects.filter(username=username).first()
        version = Version.objects.select_related("dataset").filter(dataset__slug=slug).first()
        if person is None or version is None:
            raise CommandError(f"There is no {'person ' + username if person is None else 'dataset ' + slug}.")
        try:
            with table.open(encoding="utf-8", newline="") as lines:
                loaded = itemloading.load(version, lines, user=person, is_dry_run=dry_run, is_complete=complete, most_rows=None)
        except (RefusedError, OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{error} {getattr(error, 'fields', '') or ''}".strip()) from error
        for wrong in loaded.wrong:
            self.stderr.write(f"line {wrong.line}, {wrong.column}: {wrong.words}")
        if loaded.wrong:
            raise CommandError(f"{loaded.n_wrong} things to mend; nothing was changed.")
        done = "loaded" if loaded.is_done else "would be loaded"
        counts = f"{loaded.n_new} new, {loaded.n_changed} changed, {loaded.n_same} as they were, {loaded.n_removed} removed"
        self.stdout.write(f"{version}: {done}: {counts}")
