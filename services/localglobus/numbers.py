"""Whole numbers that come as text, in an address or a form: digits alone, and no more than a database holds."""

import re

DIGITS = re.compile("[0-9]{1,18}")


def read_whole(text: str) -> int | None:
    """The number, or None for a text that is none: signs, other scripts' digits, thousands of digits."""
    return int(text) if DIGITS.fullmatch(text) else None
