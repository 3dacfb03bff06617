"""Statements that the database plans once a connection: where to plan takes longer than to run, a page waits for its plan alone."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection


class Prepared:
    """A statement with named parameters and their types. Its plan is one for all values, so each part must be found by an index in order.

    Behind a pool that gives each transaction another session nothing can be prepared: Django's `DISABLE_SERVER_SIDE_CURSORS` says so, and
    the statement goes as it is. Source: https://www.postgresql.org/docs/current/sql-prepare.html
    """

    def __init__(self, name: str, sql: str, types: Mapping[str, str]) -> None:
        places = {parameter: f"${at}" for at, parameter in enumerate(types, 1)}
        self._plain = sql
        self._execute = f"execute {name} ({', '.join(f'%({parameter})s' for parameter in types)})"
        self._prepare = f"prepare {name} ({', '.join(types.values())}) as {sql % places}; {self._execute}"
        self._is_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    def rows(self, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What it finds, in one round trip at the first time too."""
        with connection.cursor() as cursor:
            session = connection.connection
            is_known = self._is_known.get(session)
            if is_known:
                cursor.execute(self._execute, values)
            elif is_known is not None or connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
                cursor.execute(self._plain, values)
            else:
                self._is_known[session] = False  # until it went well: what fails in between may or may not be prepared
                cursor.execute(self._prepare, values)
                self._is_known[session] = True
            return list(cursor.fetchall())
