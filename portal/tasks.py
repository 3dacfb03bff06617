"""The portal's own periodic work. The name of a task is interface."""

from celery import shared_task

from portal import signin


@shared_task(name="portal.refresh_groups", soft_time_limit=240)
def refresh_groups() -> None:
    """Read the groups that hold roles or grants again, for everybody. Safe to repeat."""
    signin.refresh_groups()
