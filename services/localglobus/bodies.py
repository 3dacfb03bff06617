"""Bodies of requests: a JSON object that can be stored and said again, or a refusal."""

import json
import math
from typing import Any

from starlette.requests import Request

from services.localglobus.errors import ApiError

MOST_DEEP = 100
"""How far a document is nested at most: less than what is stored at one depth of calls and said again at another can be."""


async def read_object(request: Request, *, code: str = "BadRequest") -> dict[str, Any]:
    """The JSON object of the body.

    Raises ApiError 400 with `code` for anything else: no JSON, NaN or Infinity, nested too deep, half of a character.
    """
    try:
        body = await request.body()
        text = body.decode(json.detect_encoding(body))
        document = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:  # an escape that may be half of a character
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ApiError(code, "The body holds half of a character", 400) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(code, "The body is not JSON", 400) from error
    if not isinstance(document, dict):
        raise ApiError(code, "The body must be a JSON object", 400)
    if _is_deep(document):
        raise ApiError(code, f"The body is nested deeper than {MOST_DEEP}", 400)
    return document


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        raise ValueError(number)
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _is_deep(document: dict[str, Any]) -> bool:
    """Whether there is something below the deepest level that is taken."""
    level: list[Any] = [document]
    for _ in range(MOST_DEEP):
        below = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for members in below for each in members if isinstance(each, (dict, list))]
        if not level:
            return False
    return True
