"""Addresses to return to, in every part of the site: only paths of this site are accepted."""

from typing import Any
from urllib.parse import urlencode

from django.utils.http import url_has_allowed_host_and_scheme


def is_local(address: str) -> bool:
    """True for an absolute path of this site, false for anything that a browser could take for another host."""
    is_path = address.startswith("/") and "\\" not in address and address.isprintable()
    return is_path and url_has_allowed_host_and_scheme(address, allowed_hosts=None)


def local_or_home(address: str | None) -> str:
    return address if address and is_local(address) else "/"


def page_of(path: str, **query: Any) -> str:
    """The path with its query; lists repeat, empty values are left out."""
    asked = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(asked, doseq=True)}" if asked else path
