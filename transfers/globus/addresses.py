"""Addresses that people open: the Globus web app, and files over HTTPS."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.cache import cache

from transfers.globus.clients import Id, transport
from transfers.globus.collections import collection


def file_manager_link(collection_id: Id, path: str) -> str:
    """The Globus file manager at a folder."""
    return f"{_app_url()}/file-manager?{urlencode({'origin_id': str(collection_id), 'origin_path': path})}"


def roles_link(collection_id: Id) -> str:
    """The page of the Globus web app on which administrators of a collection give roles."""
    return f"{_app_url()}/file-manager/collections/{quote(str(collection_id))}/roles"


def activity_link(task_id: str) -> str:
    """The Globus page of a task."""
    return f"{_app_url()}/activity/{quote(task_id)}"


def https_url(collection_id: Id, path: str) -> str:
    """The address of a file or folder for HTTPS access, percent-encoded segment by segment."""
    return https_server(collection_id).rstrip("/") + quote(path)


def https_server(collection_id: Id) -> str:
    """The HTTPS address of a collection's root; looked up once in ten minutes."""
    key = f"https-server:{collection_id}"
    known = cache.get(key)
    if known is None:
        known = collection(collection_id).https_server
        cache.set(key, known, timeout=600)
    return str(known)


def trusted_ca_file() -> str:
    """The certificate authority that the SDK is told to trust, where it is one of our own; empty for the usual ones."""
    verified = transport().verify_ssl
    return verified if isinstance(verified, str) else ""


def _app_url() -> str:
    return str(settings.GLOBUS_APP_URL).rstrip("/")
