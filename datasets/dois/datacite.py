"""The gateway to DataCite's REST API: one call that may be repeated. Source: https://support.datacite.org/docs/api.

`PUT /dois/{doi}` makes a DOI or writes it anew, so a call whose answer was lost is simply made again and never doubles. What may pass
(time-outs, 429, 5xx) leaves as UnavailableError, what will not (4xx) as RefusedError with DataCite's words.
"""

from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings

from datasets.errors import RefusedError, UnavailableError

TIMEOUT_S = (5, 20)
MEDIA_TYPE = "application/vnd.api+json"


class DataciteRefusedError(RefusedError):
    code = "datacite-refused"
    http_status = 502
    message = "DataCite refused the DOI."


def is_configured() -> bool:
    """Whether the operator gave an account with DataCite; without one DOIs are only reserved, under the prefix for tests."""
    return bool(settings.DATACITE_URL and settings.DATACITE_ACCOUNT and settings.DATACITE_PASSWORD)


def put_doi(name: str, attributes: dict[str, Any], *, url: str, is_findable: bool) -> None:
    """Make a DOI or write it anew, leading to `url`; one that is not findable stays registered, and search engines leave it out."""
    event = "publish" if is_findable else "hide"
    body = {"data": {"type": "dois", "id": name, "attributes": {**attributes, "doi": name, "url": url, "event": event}}}
    try:
        answer = requests.put(
            f"{settings.DATACITE_URL}/dois/{quote(name, safe='/')}", json=body, headers={"Content-Type": MEDIA_TYPE},
            auth=(settings.DATACITE_ACCOUNT, settings.DATACITE_PASSWORD), timeout=TIMEOUT_S, allow_redirects=False,
        )  # fmt: skip
    except requests.RequestException as error:
        raise UnavailableError(f"DataCite does not answer: {type(error).__name__}.") from error
    if answer.status_code == requests.codes.too_many_requests or answer.status_code >= requests.codes.server_error:
        raise UnavailableError(f"DataCite answers {answer.status_code}.")
    if answer.status_code not in {requests.codes.ok, requests.codes.created}:
        raise DataciteRefusedError(f"DataCite answers {answer.status_code}: {_words(answer)}")


def _words(answer: requests.Response) -> str:
    """What its errors say."""
    try:
        errors = answer.json()["errors"]
        return "; ".join(filter(None, (f"{one.get('source') or ''} {one.get('title') or ''}".strip() for one in errors)))[:500]
    except (requests.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "no words"
