import datetime as dt

import pytest
from django.utils import timezone

from portal import jinja
from portal.jinja import duration, number, plural, size_markup, size_words, url, when


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1503238553, "1.4 GiB"),
        (8 * 10**12, "7.3 TiB"),
        (None, "unknown"),
    ],
)
def test_sizes_are_in_binary_units_with_one_decimal(size_bytes, words):
    assert size_words(size_bytes) == words


def test_a_size_carries_its_exact_bytes():
    assert size_markup(1536) == '<data class="num" value="1536" title="1,536 bytes">1.5 KiB</data>'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (59, "59 seconds"), (60, "1 minute"), (5400, "2 hours"), (3 * 86400, "3 days"), (None, "unknown")],
)
def test_durations_use_the_largest_unit_that_fits(seconds, words):
    assert duration(seconds) == words


def test_times_say_how_long_ago_and_carry_the_exact_utc_time():
    moment = timezone.now() - dt.timedelta(hours=2)
    shown = when(moment)
    assert "2 hours ago" in shown
    assert f'title="{moment:%Y-%m-%d %H:%M:%S} UTC"' in shown
    assert "in 3 days" in when(timezone.now() + dt.timedelta(days=3, minutes=1))
    assert when(dt.date(2026, 3, 4)) == '<time datetime="2026-03-04">4 March 2026</time>'
    assert "never" in when(None)


def test_numbers_have_separators_and_nouns():
    assert number(412331) == "412,331"
    assert plural(1, "file") == "1 file"
    assert plural(2, "identity", "identities") == "2 identities"


def test_addresses_take_a_query():
    assert url("portal:signin", query={"next": "/basket/?a=1", "empty": None}) == "/signin/?next=%2Fbasket%2F%3Fa%3D1"


def test_pages_escape_and_mails_do_not():
    environment = jinja.environment()
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    assert environment.autoescape("mail/share_open.body.txt") is False
    assert environment.autoescape("mail/share_open.body.html") is True
