"""System checks (`manage.py check`): what a deployment should know before people use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register

NEEDED = {
    "ARCHIVE_COLLECTION": "the guest collection that shows the archive's data",
    "SHARE_COLLECTION": "the guest collection that shares are made in",
    "RESULTS_COLLECTION": "the guest collection that graphs are put in",
    "GRAPH_URL": "the graph service; without it there are no graphs and no header metadata",
    "GRAPH_SCOPE": "the scope of the graph service",
    "STEWARD_GROUPS": "the Globus groups whose members curate",
    "OPERATOR_GROUPS": "the Globus groups whose members run the site",
}


@register()
def check_standin(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if not settings.HAS_STANDIN:
        return []
    hint = "Leave SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT and GLOBUS_SDK_SERVICE_URL_* out to use globus.org."
    return [
        checks.Warning(
            f"{settings.GLOBUS_AUTH_URL} stands in for Globus; CAUSEWAY_ALLOW_STANDIN=1 allows it.", hint=hint, id="causeway.W001"
        )
    ]


@register()
def check_needed(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    return [
        checks.Warning(f"CAUSEWAY_{name} is not set: {what}.", id="causeway.W002")
        for name, what in NEEDED.items()
        if not getattr(settings, name)
    ]


@register(deploy=True)
def check_laptop(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if not settings.DEBUG:
        return []
    return [checks.Warning("Debugging is on: set CAUSEWAY_BASE_URL and CAUSEWAY_DEBUG=0.", id="causeway.W003")]
