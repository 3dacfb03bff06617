"""Where the database is, as one address says it."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def database_settings(url: str) -> dict[str, Any]:
    """Django's settings for `postgres://user:password@host:port/name?host=/socket/folder`."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        message = f"DATABASE_URL must be postgres://..., not {parts.scheme}://..."
        raise ImproperlyConfigured(message)
    options = dict(parse_qsl(parts.query))
    host, port = options.pop("host", parts.hostname or ""), options.pop("port", str(parts.port or ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    named = {"NAME": unquote(parts.path.lstrip("/")), "USER": user, "PASSWORD": password, "HOST": host, "PORT": port}
    return {"ENGINE": "django.db.backends.postgresql", **named, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
