"""`manage.py operator add|remove|list IDENTITY-OR-GROUP`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from datasets.errors import RefusedError
from portal import roles


class Command(BaseCommand):
    help = "Give, take or list the role of operator. IDENTITY-OR-GROUP is a username or the id of an identity or group in Globus."
    role = "operator"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["add", "remove", "list"])
        parser.add_argument("named", nargs="?", metavar="IDENTITY-OR-GROUP")

    def handle(self, *, act: str, named: str | None, **_: Any) -> None:
        if act == "list":
            for one in roles.grants_of(self.role):
                self.stdout.write(f"{one.principal_type}\t{one.principal}\t{one.name}")
            return
        if not named:
            raise CommandError("Say whom: a username, or the id of an identity or group.")
        try:
            if act == "add":
                given = roles.give_role(self.role, named)
                self.stdout.write(f"{given.principal_type} {given.name} ({given.principal}) is {self.role}")
            else:
                roles.take_role(self.role, named)
                self.stdout.write(f"{named} is no longer {self.role}")
        except RefusedError as error:
            raise CommandError(str(error)) from error
