"""What is due in the catalogue, every few seconds: scans that wait for a worker or whose worker is gone, embargoes that end,
rescans by the calendar, mails of alarms, what lay in the bin long enough, links that nobody looked at yet, harvests,
sets of places to keep.
"""

import logging

from celery import current_app, shared_task
from django.utils import timezone

from datasets import dois
from datasets.access import protecting
from datasets.curation import deleting
from datasets.description import probing
from datasets.importing import harvests
from datasets.metadata import pushing
from datasets.models import ScanRun
from datasets.preservation import alarming, fixity, watching
from datasets.scans import staging
from datasets.search import places

logger = logging.getLogger(__name__)

INGEST_TASK, VERIFY_TASK, PUSH_TASK = (
    "transfers.ingest",
    "transfers.ingest_verify",
    "transfers.push_records",
)  # join with Globus and the graph service; named, not imported: that layer stands above this one


@shared_task(name="datasets.sweep")
def sweep() -> int:
    """Send a hint for what is due: scans, DOIs, pushes; write down ended embargoes. Safe to repeat: the claim lets one worker in."""
    protecting.lift_ended()
    watching.request_due_rescans()
    alarming.mail_alarms()
    deleting.remove_due()
    staging.forget_old()
    places.keep_if_due()
    due = list(ScanRun.objects.working().due(timezone.now()).values_list("pk", flat=True)[:100])
    for scan_id in due:
        current_app.send_task(INGEST_TASK, args=[scan_id], queue="catalogue", expires=60)
    for dataset_id in fixity.due_datasets():
        current_app.send_task(VERIFY_TASK, args=[str(dataset_id)], queue="catalogue", expires=60)
    for doi_id in dois.due():
        dois.register.apply_async(args=(doi_id,), expires=60)
    if probing.is_due():
        probing.check_links.apply_async(expires=10)
    harvests.queue_recurring()
    if harvests.is_due():
        harvests.harvest.apply_async(expires=10)
    if pushing.is_due():
        current_app.send_task(PUSH_TASK, queue="catalogue", expires=60)
    return len(due)
