"""`manage.py ingest SLUG COLLECTION-PATH --as USERNAME`: take the files below a path of a collection into a dataset's draft."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.curation import publishing, registering
from datasets.errors import RefusedError
from datasets.models import Dataset, ScanRun, Version
from datasets.scans import ingesting as scans
from datasets.states import ScanStatus
from transfers import ingesting


class Command(BaseCommand):
    help = (
        "Register a collection path as a dataset, or look at it again: lists it through Globus, has headers and checksums read near the "
        "data, and shows what changed. A dataset that is new, or has changed, is left as a draft to describe and publish."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="the dataset's short name")
        parser.add_argument("path", help="the folder in the collection, such as /sea-level/")
        parser.add_argument("--as", dest="username", required=True, help="the steward or operator on whose behalf it is done")
        parser.add_argument("--collection", type=uuid.UUID, default=None, help="the collection's id (default: the archive's)")
        parser.add_argument("--report", action="store_true", help="leave what was found to be accepted by a steward")
        parser.add_argument("--title", default="", help="the title of a new dataset (default: its slug)")

    def handle(
        self, *, slug: str, path: str, username: str, collection: uuid.UUID | None, title: str, report: bool = False, **_: Any
    ) -> None:
        person = get_user_model().objects.filter(username=username).first()
        if person is None:
            raise CommandError(f"Nobody of the name {username} has signed in here yet.")
        try:
            version = self.find_draft(person, slug, title or slug)
            registering.place(version, user=person, base_path=path, collection_id=collection or uuid.UUID(settings.ARCHIVE_COLLECTION))
            version = Version.objects.select_related("dataset").get(pk=version.pk)
            ingesting.check_role(version.locations.get(is_primary=True))
            run = ingesting.run_scan(scans.request_scan(version, user=person, is_automatic=not report))
            if run is None:
                raise CommandError("A worker is scanning this dataset already.")
            self.tell(run)
            if version.number > 1 and not (run.n_new or run.n_changed or run.n_missing):
                publishing.remove_draft(version, user=person)
                self.stdout.write("Nothing changed; there is no new draft.")
        except RefusedError as error:
            raise CommandError(f"{error} {error.fields or ''}".strip()) from error

    def find_draft(self, person: Any, slug: str, title: str) -> Version:
        dataset = Dataset.objects.filter(slug=slug).first()
        if dataset is None:
            return registering.register(user=person, slug=slug, title=title)
        return publishing.open_draft(dataset, user=person)

    def tell(self, run: ScanRun) -> None:
        self.stdout.write(
            f"{run.version}: {run.n_folders} folders, {run.n_files} files, {run.size_bytes} bytes; "
            f"{run.n_new} new, {run.n_changed} changed, {run.n_missing} gone; {run.n_inspected} read near the data"
        )
        if run.status == ScanStatus.FAILED:
            raise CommandError(run.error)
        if run.is_reported:
            self.stdout.write(f"Nothing is taken yet. Accept or discard it: {settings.BASE_URL}{run.get_absolute_url()}")
        elif run.status != ScanStatus.DONE:
            self.stdout.write(f"Not at its end yet: {run.error} A worker goes on with it.")
