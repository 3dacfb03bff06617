"""The portal's own periodic work. The name of a task is interface."""

from celery import shared_task
from django.core.management import call_command

from portal import health, signin


@shared_task(name="portal.refresh_groups", soft_time_limit=240)
def refresh_groups() -> None:
    """Read the groups that hold roles or grants again, for everybody. Safe to repeat."""
    signin.refresh_groups()


@shared_task(name="portal.heartbeat", expires=health.HEARTBEAT_S)
def heartbeat() -> None:
    """Say that beat, broker and worker go round."""
    health.record_heartbeat()


@shared_task(name="portal.clear_sessions")
def clear_sessions() -> None:
    """Delete what ended sessions and sign-ins left behind. Safe to repeat."""
    call_command("clearsessions")
    call_command("clearsocial")
