"""`manage.py load_keywords FILE`: a list of GCMD keywords, instruments or platforms, or another one in its shape. Safe to repeat."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.description.loading import load_keywords
from datasets.errors import InvalidError
from datasets.models import VocabularyUse


class Command(BaseCommand):
    help = "Load a keyword list in the shape of the GCMD export (CSV). It replaces the one that is loaded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="downloaded from gcmd.earthdata.nasa.gov/kms, format csv")
        parser.add_argument("--slug", default="", help="short name; of a list of GCMD its own")
        parser.add_argument("--name", default="", help="how people call it")
        parser.add_argument("--use", default="", choices=["", *VocabularyUse.values], help="what its words are for")
        parser.add_argument("--excerpt", action="store_true", help="not all of the list")

    def handle(self, *, file: Path, slug: str, name: str, use: str, excerpt: bool, **_: Any) -> None:
        try:
            made = load_keywords(file.read_text(encoding="utf-8"), slug=slug, name=name, use=use, is_whole=not excerpt)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except InvalidError as error:
            raise CommandError(" ".join(words for texts in error.fields.values() for words in texts)) from error
        self.stdout.write(f"{made.name} {made.edition}: {made.terms.count():,} terms as {made.slug}")
