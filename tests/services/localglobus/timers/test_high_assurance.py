"""Timers on collections that ask for a recent sign-in: made with one, stopped without, going on after another."""

from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import AccessTokenAuthorizer, GlobusAPIError, OnceTimerSchedule, TimersClient, TransferData, TransferTimer
from globus_sdk.gare import to_gare
from globus_sdk.scopes import TimersScopes, TransferScopes

from tests.services.localglobus.transfer.conftest import wait_until
from tests.services.localglobus.transfer.test_assurance import DEE, guard  # noqa: F401 (a fixture)

pytestmark = pytest.mark.long

SCOPE = TimersScopes.timer.with_dependency(TransferScopes.all)


def client_of(guarded, **parameters):
    token = guarded.sign_in(SCOPE, **parameters)[TimersScopes.resource_server]["access_token"]
    return TimersClient(authorizer=AccessTokenAuthorizer(token))


def test_timer_stops_when_the_sign_in_is_old_and_goes_on_after_a_new_one(sites, folder, guard):  # noqa: F811
    guarded = guard(high_assurance=True, authentication_timeout_mins=30)
    asked = TransferData(guarded.id, guarded.id)
    asked.add_item("/notes.txt", "/copied.txt")
    dee = client_of(guarded)
    start = datetime.now(UTC) + timedelta(seconds=12)
    number = dee.create_timer(TransferTimer(name="guarded", schedule=OnceTimerSchedule(start), body=asked))["timer"]["job_id"]
    guarded.forget_sign_ins()
    stopped = wait_until(lambda: (job := dee.get_job(number))["status"] == "inactive" and job)
    wanted = to_gare(stopped["inactive_reason"]["detail"]).authorization_parameters
    assert wanted.session_required_identities == [sites.identity(DEE)]
    with pytest.raises(GlobusAPIError) as refused:
        dee.resume_job(number)
    assert refused.value.http_status == 403
    assert to_gare(refused.value).authorization_parameters.session_required_identities == [sites.identity(DEE)]
    assert not (folder / "copied.txt").exists()
    again = client_of(guarded, query_params={"prompt": "login"})
    again.resume_job(number, update_credentials=True)
    wait_until(lambda: (job := again.get_job(number))["status"] == "ended" and job["activity"] is None)
    assert (folder / "copied.txt").read_text() == "guarded\n"
    again.delete_job(number)
