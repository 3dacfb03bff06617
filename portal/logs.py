"""What is logged where: JSON lines on standard output. How a line is written is in `portal/requests.py`."""

from typing import Any


def log_settings(level: str) -> dict[str, Any]:
    """Django's LOGGING, for lines of this level and above."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "portal.requests.JsonFormatter"}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": "INFO"},
            "django.server": {"handlers": [], "level": "WARNING"},
            "django.request": {"level": "ERROR"},  # failures with their traceback; refusals are logged by portal.errors
            # What a task does it says itself; that it was received and succeeded, every two seconds, says nothing.
            **{name: {"level": "WARNING"} for name in ("celery.worker.strategy", "celery.app.trace", "urllib3", "globus_sdk")},
        },
    }
