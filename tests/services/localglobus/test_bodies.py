"""What no JSON document can hold is refused before anything reads it."""

import httpx
import pytest

GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", "5", "true", '"x"', '{"name": NaN}', '{"name": -Infinity}', '{"name": "\\ud800"}', "[" * 5000]
)
def test_a_body_that_cannot_be_kept_is_refused(globus, body):
    token = globus.client("demo").oauth2_client_credentials_tokens(GROUPS)["access_token"]
    answer = httpx.post(f"{globus.url}/v2/groups", content=body, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert answer.status_code == 400, answer.text
