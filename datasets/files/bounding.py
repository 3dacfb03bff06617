"""A bound in time for reads whose cost nobody knows beforehand: a filter that fits almost nothing reads every row of a dataset, and two
versions may differ in every file.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

from datasets.errors import InvalidError

LONGEST_S = 10.0
TOO_LONG = "This search takes too long here. Choose a folder first, or a name that says more."
TOO_DIFFERENT = "These versions differ in too much to be compared here. Compare their manifests, which are in the same order."


@contextmanager
def bounded(seconds: float | None = None, *, field: str = "glob", advice: str = TOO_LONG) -> Iterator[None]:
    """Each read in the body ends after so long: InvalidError with what helps. Nothing may be written in it: it is rolled back then."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select current_setting('statement_timeout')")
            (before,) = cursor.fetchone()
            cursor.execute("select set_config('statement_timeout', %s, true)", [str(int((seconds or LONGEST_S) * 1000))])
            yield
            cursor.execute("select set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise InvalidError(advice, fields={field: [advice]}) from error
        raise
