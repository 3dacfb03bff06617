"""The Jinja2 environment of templates/: addresses, static files, and how sizes, numbers, times and durations are written.

What is written often is written cheaply: values are escaped into plain text (`PlainOutput`), and addresses and sizes are kept.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import get_messages
from django.db import DatabaseError
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from jinja2 import Environment, StrictUndefined, nodes, select_autoescape
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import Markup, escape
from markupsafe import _escape_inner as escape_text  # type: ignore[attr-defined]  # what `escape` wraps; the lock holds its version

from portal import health
from transfers.access.pages import access_request_of, count_undecided
from transfers.models import Selection
from transfers.reconciling import rules_by_hand

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
SPANS = (("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def url(name: str, *args: Any, query: dict[str, Any] | None = None, **kwargs: Any) -> str:
    """The address of a named route; `query` is appended (lists repeat, None is left out)."""
    path = reverse(name, kwargs=kwargs) if kwargs else _path(name, args)
    asked = {key: value for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(asked, doseq=True)}" if asked else path


@lru_cache(maxsize=8192)
def _path(name: str, args: tuple[Any, ...]) -> str:
    return reverse(name, args=args or None)


def size_words(size_bytes: int | None) -> str:
    """Binary units with one decimal: 1.4 GiB."""
    if size_bytes is None:
        return "unknown"
    amount, step = float(size_bytes), 0
    while amount >= 1023.95 and step < len(UNITS) - 1:
        amount, step = amount / 1024, step + 1
    if step == 0:
        return f"{size_bytes:,} byte{'' if size_bytes == 1 else 's'}"
    return f"{amount:,.1f} {UNITS[step]}"


@lru_cache(maxsize=8192)
def size_markup(size_bytes: int | None) -> Markup:
    """The size with the exact bytes on hover."""
    if size_bytes is None:
        return Markup('<span class="quiet">unknown</span>')
    return Markup('<data class="num" value="{0}" title="{1} bytes">{2}</data>').format(
        size_bytes, f"{size_bytes:,}", size_words(size_bytes)
    )


def number(value: float | None) -> str:
    """Thousands separated: 412,331."""
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 file, 412 files."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float | timedelta | None) -> str:
    """The largest unit that fits, in words: 3 hours; under a minute in seconds."""
    if seconds is None:
        return "unknown"
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    for name, length in SPANS:
        if total >= length:
            return plural(round(total / length), name)
    return plural(max(round(total), 0), "second")


def when(moment: datetime | date | None) -> Markup:
    """A `<time>` that says how long ago or until, with the exact UTC time in its attribute and on hover; dates stay dates."""
    if moment is None:
        return Markup('<span class="quiet">never</span>')
    if not isinstance(moment, datetime):
        return Markup('<time datetime="{0}">{1}</time>').format(moment.isoformat(), f"{moment.day} {moment:%B %Y}")
    moment = moment.astimezone(UTC)
    away = (moment - timezone.now()).total_seconds()
    if abs(away) < 10:
        words = "now"
    elif abs(away) > 60 * 86_400:
        words = f"{moment.day} {moment:%B %Y}"
    else:
        words = f"in {duration(away)}" if away > 0 else f"{duration(-away)} ago"
    return Markup('<time datetime="{0}" title="{1}">{2}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%Y-%m-%d %H:%M:%S} UTC", words
    )


def exact_time(moment: datetime | None) -> str:
    """2026-11-20 05:12 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "never"


class Nobody(AnonymousUser):
    """Who is not signed in, with the roles that templates ask everybody about."""

    is_steward = is_operator = lacks_second_factor = False


def count_basket(request: HttpRequest) -> int:
    """How many selections lie in the basket of this person or session; asked only by templates that show it."""
    if request.user.is_authenticated:
        return Selection.objects.filter(basket__user_id=request.user.pk).count()
    session_key = request.session.session_key
    return Selection.objects.filter(basket__session_key=session_key).count() if session_key else 0


def site(request: HttpRequest) -> dict[str, Any]:
    """What every page knows: the person, what is in her basket, what to tell her, whether a stand-in plays Globus.

    When the database does not answer there is nobody, so that the status page can still be read.
    """
    known = {"has_standin": settings.HAS_STANDIN, "globus_app_url": settings.GLOBUS_APP_URL, "known_trouble": health.known_trouble}
    try:
        user = request.user if request.user.is_authenticated else Nobody()
        own = {"user": user, "is_signed_in": user.is_authenticated, "messages": get_messages(request)}
        asked: dict[str, Any] = {
            "count_basket": lambda: count_basket(request),
            "count_undecided": lambda: count_undecided(user),
            "access_request_of": lambda dataset: access_request_of(user, dataset),
            "rules_by_hand": rules_by_hand,
        }
        return known | own | asked
    except DatabaseError:
        return known | {"user": Nobody(), "is_signed_in": False, "messages": (), "count_basket": lambda: 0}


def escaped(value: Any) -> str:
    """The text of a value as it stands in a page. `markupsafe.escape` wraps each in an object, which takes twenty times as long."""
    if type(value) is str:
        return escape_text(value)
    return value.__html__() if hasattr(value, "__html__") else escape_text(str(value))


class PlainOutput(CodeGenerator):
    """Compiles templates so that `{{ value }}` yields escaped text, not `Markup`: it is joined to a page, or to what a macro answers."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.escaped(")


class PageEnvironment(Environment):
    code_generator_class = PlainOutput
    escaped = staticmethod(escaped)


def environment(**options: Any) -> Environment:
    options["autoescape"] = select_autoescape(["html", "xml"], default_for_string=True)
    options["undefined"] = StrictUndefined
    made = PageEnvironment(**options, trim_blocks=True, lstrip_blocks=True)
    made.globals.update(url=url, static=lru_cache(static), now=timezone.now, escape=escape)
    made.filters.update(
        bytes=size_markup, size=size_words, number=number, plural=plural, when=when, exact_time=exact_time, duration=duration
    )
    return made
