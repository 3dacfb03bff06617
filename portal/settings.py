"""The only reader of the environment. `.env.example` lists every variable that is read here.

With nothing set the portal runs on a laptop. With debugging off a missing secret stops the start and the message names the variable.
Secrets may come from a file: set `<NAME>_FILE` to its path. Variables named GLOBUS_SDK_* belong to the Globus SDK; two of them are read
here only to say where the Globus web app is and whether a stand-in plays Globus.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from portal.database import database_settings
from portal.logs import log_settings

BASE_DIR = Path(__file__).resolve().parent.parent


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no", "on", "off"}:
        message = f"{name} must be 1 or 0, not {value!r}"
        raise ImproperlyConfigured(message)
    return value in {"1", "true", "yes", "on"}


def number(name: str, default: int) -> int:
    value = text(name, str(default))
    if not value.isdigit():
        message = f"{name} must be a whole number, not {value!r}"
        raise ImproperlyConfigured(message)
    return int(value)


def words(name: str) -> list[str]:
    return [word.strip() for word in text(name).split(",") if word.strip()]


def uuid_text(name: str) -> str:
    value = text(name)
    try:
        return str(UUID(value)) if value else ""
    except ValueError as error:
        message = f"{name} must be a UUID, not {value!r}"
        raise ImproperlyConfigured(message) from error


def secret(name: str, laptop: str, *, is_needed: bool = True) -> str:
    """The secret `name`, or the content of the file `name`_FILE; the value for a laptop serves where it is not needed."""
    path = text(f"{name}_FILE")
    value = Path(path).read_text(encoding="utf-8").strip() if path else text(name)
    if not value and is_needed and not DEBUG:
        message = f"{name} is not set. Set {name} or {name}_FILE (see .env.example), or CAUSEWAY_DEBUG=1 on a laptop."
        raise ImproperlyConfigured(message)
    return value or laptop


BASE_URL = text("CAUSEWAY_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
IS_HTTPS = BASE_URL.startswith("https://")
DEBUG = flag("CAUSEWAY_DEBUG", default=not text("CAUSEWAY_BASE_URL"))  # a site that has an address is no laptop
STATE = Path(text("CAUSEWAY_STATE", str(BASE_DIR / ".causeway")))

SECRET_KEY = secret("CAUSEWAY_SECRET_KEY", "only-for-a-laptop-only-for-a-laptop-only-for-a-laptop")
SECRET_KEY_FALLBACKS = words("CAUSEWAY_SECRET_KEY_FALLBACKS")
# Comma separated Fernet keys: the first encrypts, all decrypt.
TOKEN_KEYS = [key.strip() for key in secret("CAUSEWAY_TOKEN_KEYS", "b25seS1mb3ItYS1sYXB0b3Atb25seS1mb3ItYS1sYXA=").split(",")]
try:
    _ = [Fernet(key) for key in TOKEN_KEYS]
except ValueError as error:
    raise ImproperlyConfigured("CAUSEWAY_TOKEN_KEYS must be Fernet keys: 32 random bytes each, url-safe base64, comma separated") from error

# Globus
GLOBUS_AUTH_URL = text("SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT", "https://auth.globus.org").rstrip("/")
GLOBUS_TRANSFER_URL = text("GLOBUS_SDK_SERVICE_URL_TRANSFER", "https://transfer.api.globus.org/").rstrip("/")
GLOBUS_APP_URL = text("GLOBUS_SDK_SERVICE_URL_APP", "https://app.globus.org").rstrip("/")
GLOBUS_CLIENT_ID = secret("CAUSEWAY_GLOBUS_CLIENT_ID", "00000000-0000-0000-0000-000000000000")
GLOBUS_CLIENT_SECRET = secret("CAUSEWAY_GLOBUS_CLIENT_SECRET", "no-secret-on-this-laptop")
ARCHIVE_COLLECTION = text("CAUSEWAY_ARCHIVE_COLLECTION")
SHARE_COLLECTION = text("CAUSEWAY_SHARE_COLLECTION")
STORAGE_COLLECTION = text("CAUSEWAY_STORAGE_COLLECTION")
RESULTS_COLLECTION = text("CAUSEWAY_RESULTS_COLLECTION")
CAMPUS_COLLECTION = text("CAUSEWAY_CAMPUS_COLLECTION")
GCS_ADDRESS = text("CAUSEWAY_GCS_ADDRESS")
SEARCH_INDEX = uuid_text("CAUSEWAY_SEARCH_INDEX")  # empty: nothing is pushed
GRAPH_URL = text("CAUSEWAY_GRAPH_URL").rstrip("/")
GRAPH_SCOPE = text("CAUSEWAY_GRAPH_SCOPE")
API_SCOPE = text("CAUSEWAY_API_SCOPE", f"https://auth.globus.org/scopes/{GLOBUS_CLIENT_ID}/api")
STEWARD_GROUPS = words("CAUSEWAY_STEWARD_GROUPS")
OPERATOR_GROUPS = words("CAUSEWAY_OPERATOR_GROUPS")
_globus_hosts = [urlsplit(GLOBUS_AUTH_URL).hostname, urlsplit(GLOBUS_TRANSFER_URL).hostname]
HAS_STANDIN = _globus_hosts != ["auth.globus.org", "transfer.api.globus.org"]
if not flag("CAUSEWAY_ALLOW_STANDIN") and HAS_STANDIN:
    message = f"{GLOBUS_AUTH_URL} stands in for Globus: set CAUSEWAY_ALLOW_STANDIN=1 to allow it, or leave its variables out."
    raise ImproperlyConfigured(message)

# Policy
SHARE_LIFETIME_DAYS = number("CAUSEWAY_SHARE_LIFETIME_DAYS", 30)
REMINDER_DAYS = number("CAUSEWAY_REMINDER_DAYS", 2)
SWEEP_SECONDS = number("CAUSEWAY_SWEEP_SECONDS", 2)
CLAIM_SECONDS = number("CAUSEWAY_CLAIM_SECONDS", 40)
ASSURANCE_MINUTES = number("CAUSEWAY_ASSURANCE_MINUTES", 60)
TWO_PERSON_RULE = flag("CAUSEWAY_TWO_PERSON_RULE")
LINK_CHECKS = flag("CAUSEWAY_LINK_CHECKS", default=True)
LINK_NETWORKS = words("CAUSEWAY_LINK_NETWORKS")
STAFF_NEEDS_SECOND_FACTOR = flag("CAUSEWAY_STAFF_NEEDS_SECOND_FACTOR")
FAULTS = flag("CAUSEWAY_FAULTS")
KILL_AFTER = text("CAUSEWAY_KILL_AFTER")

# DataCite
DATACITE_URL = text("CAUSEWAY_DATACITE_URL", "https://api.datacite.org").rstrip("/")
DATACITE_PREFIX = text("CAUSEWAY_DATACITE_PREFIX", "10.5072")
DATACITE_ACCOUNT = text("CAUSEWAY_DATACITE_ACCOUNT")
DATACITE_PASSWORD = secret("CAUSEWAY_DATACITE_PASSWORD", "", is_needed=False)

# The site
ALLOWED_HOSTS = [urlsplit(BASE_URL).hostname or "127.0.0.1", *words("CAUSEWAY_ALLOWED_HOSTS")]
ROOT_URLCONF, WSGI_APPLICATION = "portal.urls", "portal.wsgi.application"
AUTH_USER_MODEL = "portal.User"
CHECK_PLACE = "transfers.ingesting.check_role"  # what the catalogue asks before a scan; empty: nothing
CHECK_GROUP = "portal.signin.learn_group"  # and before a grant to a group
FIND_PRINCIPAL = "portal.auth.find_principal"  # and whom a username means
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
INSTALLED_APPS = [
    "portal",
    "datasets",
    "transfers",
    "transfers.analysis",
    "transfers.access",
    "portal.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "social_django",
    "django_htmx",
]
MIDDLEWARE = [
    "portal.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.requests.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.assurance.PresenceMiddleware",
    "portal.errors.RefusalMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"environment": "portal.jinja.environment", "context_processors": ["portal.jinja.site"]},
    },
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",  # for packages only: the admin
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_settings(secret("DATABASE_URL", "postgres:///causeway"))}

# Redis or Valkey: cache and broker. Celery spells a unix socket differently; how it works is in portal/celery.py.
REDIS_URL = secret("REDIS_URL", "redis://127.0.0.1:6379/0")
_redis = {"LOCATION": REDIS_URL, "KEY_PREFIX": "causeway", "OPTIONS": {"socket_timeout": 5}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", **_redis}}
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE / "run" / "celerybeat-schedule")

# Sign-in. GlobusBackend is named "globus": SOCIAL_AUTH_GLOBUS_* are its settings.
AUTHENTICATION_BACKENDS = ["portal.signin.GlobusBackend"]
LOGIN_URL = "portal:signin"
LOGIN_REDIRECT_URL = "/"
SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = GLOBUS_AUTH_URL
SOCIAL_AUTH_GLOBUS_KEY = GLOBUS_CLIENT_ID
SOCIAL_AUTH_GLOBUS_SECRET = GLOBUS_CLIENT_SECRET
SOCIAL_AUTH_GLOBUS_SCOPE = ["urn:globus:auth:scope:auth.globus.org:view_identity_set"]
SOCIAL_AUTH_GLOBUS_AUTH_EXTRA_ARGUMENTS = {"access_type": "offline"}
SOCIAL_AUTH_GLOBUS_USE_PKCE = True
SOCIAL_AUTH_GLOBUS_PIPELINE = ["portal.signin.sign_in"]
SOCIAL_AUTH_REDIRECT_IS_HTTPS = IS_HTTPS
SOCIAL_AUTH_RAISE_EXCEPTIONS = True

SESSION_COOKIE_NAME = "causeway_session"
CSRF_COOKIE_NAME = "causeway_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [BASE_URL]
CSRF_FAILURE_VIEW = "portal.errors.csrf_page"
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("CAUSEWAY_BEHIND_PROXY", default=IS_HTTPS) else None
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

REST_FRAMEWORK = {
    "URL_FORMAT_OVERRIDE": None,  # `format` is a parameter of ours
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.bearer.BearerAuthentication", "rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "portal.errors.answer_api",
}

# Static files: found in their packages on a laptop; collected and named by hash where CAUSEWAY_STATIC_ROOT says.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = text("CAUSEWAY_STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
_found, _collected = "django.contrib.staticfiles.storage.StaticFilesStorage", "whitenoise.storage.CompressedManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": _collected if STATIC_ROOT else _found},
}

# Mail: smtp://user:password@host:port (smtps, smtp+tls), else files in a folder.
MAIL_DIR = Path(text("CAUSEWAY_MAIL_DIR", str(STATE / "mail")))
_mail = urlsplit(secret("EMAIL_URL", "file:", is_needed=False))
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend" if _mail.scheme.startswith("smtp") else "transfers.outbox.EmailBackend"
EMAIL_FILE_PATH = str(MAIL_DIR)
EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.scheme == "smtps", _mail.scheme == "smtp+tls"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = text("CAUSEWAY_MAIL_FROM", "Causeway <causeway@localhost>")

LOGGING = log_settings(text("CAUSEWAY_LOG_LEVEL", "INFO"))
