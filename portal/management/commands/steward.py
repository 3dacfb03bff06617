"""`manage.py steward add|remove|list IDENTITY-OR-GROUP`."""

from portal.management.commands.operator import Command as OperatorCommand


class Command(OperatorCommand):
    help = "Give, take or list the role of steward. IDENTITY-OR-GROUP is a username or the id of an identity or group in Globus."
    role = "steward"
