"""`manage.py harvest_descriptions BASE_URL --steward NAME`: the descriptions of another archive by OAI-PMH, as drafts. Safe to repeat."""

from collections import Counter
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.errors import RefusedError
from datasets.importing import gathering


class Command(BaseCommand):
    help = "Import the descriptions that an OAI-PMH provider lists as drafts of a steward, and say what had no place."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("base_url", help="such as https://zenodo.org/oai2d")
        parser.add_argument("--steward", required=True, help="whose drafts they become: her username")
        parser.add_argument("--prefix", default="oai_dc", choices=list(gathering.PREFIXES), help="oai_datacite says more where it is given")
        parser.add_argument("--set", default="", dest="set_spec", help="only the records of this set")
        parser.add_argument("--since", default="", help="only what changed from this day on, such as 2026-01-31")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *, base_url: str, steward: str, prefix: str, set_spec: str, since: str, dry_run: bool, **_: Any) -> None:
        user = get_user_model().objects.filter(username=steward).first()
        if user is None:
            raise CommandError(f"Nobody is called {steward} here. Who signed in once is known.")
        acts = Counter[str]()
        try:
            for one in gathering.gather(base_url, user=user, prefix=prefix, set_spec=set_spec, since=since, is_dry_run=dry_run):
                acts[one.act] += 1
                self.stdout.write(f"{one.act:8} {one.identifier} {one.slug} {one.title}".rstrip())
                for wrong in one.wrong:
                    self.stdout.write(f"         {wrong.field}: {wrong.words}")
                for part in one.unmapped:
                    self.stdout.write(f"         without a place: {part.path}: {part.words}")
        except RefusedError as error:
            words = " ".join(words for texts in error.fields.values() for words in texts) or error.detail
            raise CommandError(f"{words} Done before: {dict(acts)}. It may be run again.") from error
        self.stdout.write(
            f"{'Would be done' if dry_run else 'Done'}: {', '.join(f'{n} {act}' for act, n in sorted(acts.items())) or 'nothing'}."
        )
