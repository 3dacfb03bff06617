"""The kill switch of the fault tests: `CAUSEWAY_KILL_AFTER=<function>:<n>` kills the worker after the n-th such call to the outside.

The whole process group goes, as in a power cut: the pool's parent does not live to requeue the task. Only honoured where `settings.FAULTS`
is on. It stands after the call and before anything is recorded, the moment where a crash costs most. The site's cache remembers that a
switch has fired, so that the next worker does not die of the same one.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.core.cache import cache

P = ParamSpec("P")
R = TypeVar("R")

_calls: Counter[str] = Counter()


def outside_call(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a gateway function, so that a fault test can end the process right after it."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        result = function(*args, **kwargs)
        after_call(function.__name__)
        return result

    return called


def after_call(name: str) -> None:
    """The n-th call of this name is over; die if that was asked for."""
    asked = settings.KILL_AFTER if settings.FAULTS else ""
    wanted, _, count = asked.partition(":")
    if wanted != name:
        return
    _calls[name] += 1
    if _calls[name] >= int(count or 1) and cache.add(f"killed-after:{asked}", 1, timeout=None):
        os.killpg(os.getpgrp(), signal.SIGKILL)
