"""`manage.py load_standard_names FILE`: the CF standard name table. Safe to repeat."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.description.loading import load_standard_names
from datasets.errors import InvalidError


class Command(BaseCommand):
    help = "Load the CF standard name table (XML). It replaces the one that is loaded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="cf-standard-name-table.xml from cfconventions.org/vocabularies.html")
        parser.add_argument("--excerpt", action="store_true", help="not all of the table: names that it lacks are accepted")

    def handle(self, *, file: Path, excerpt: bool, **_: Any) -> None:
        try:
            made = load_standard_names(file.read_text(encoding="utf-8"), is_whole=not excerpt)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except InvalidError as error:
            raise CommandError(" ".join(words for texts in error.fields.values() for words in texts)) from error
        self.stdout.write(f"{made.name} {made.edition}: {made.terms.count():,} names")
