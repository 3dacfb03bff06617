"""The sweep: beat calls it every few seconds, it finds what is due in the database and hints at each step."""

from celery import shared_task
from django.utils import timezone

from transfers import opening, revoking, steps, tokens
from transfers.models import DataRequest
from transfers.states import Kind, Status

MOST = 500


@shared_task(name="transfers.sweep", acks_late=True, soft_time_limit=60, ignore_result=True)
def sweep() -> int:
    """Hint at every step that is due and answer how many; end tokens and shares that have lost their reason. Safe to repeat."""
    n_hints = 0
    for request in DataRequest.objects.take_due(timezone.now(), most=MOST):
        if task := steps.STEPS.get((Kind(request.kind), Status(request.status))):
            steps.send_hint(task, request.pk)
            n_hints += 1
    opening.open_what_is_published()
    tokens.end_released()
    revoking.end_lost_shares()
    return n_hints
