"""Table 11.1 for today: the REST calls of Globus Auth that a portal and its service make, without the SDK.

    python table_11_1_rest.py <redirect URI> <scope of the service> <scope that it depends on>

Prints the address at which the person signs in, reads the code from standard input, then says what each call answered.
"""

import base64
import json
import os
import secrets
import sys
from urllib.parse import urlencode

import requests

AUTH = os.environ.get("GLOBUS_SDK_SERVICE_URL_AUTH", "https://auth.globus.org/")
PORTAL = os.environ["CAUSEWAY_GLOBUS_CLIENT_ID"], os.environ["CAUSEWAY_GLOBUS_CLIENT_SECRET"]
SERVICE = os.environ["CAUSEWAY_GRAPH_CLIENT_ID"], os.environ["CAUSEWAY_GRAPH_CLIENT_SECRET"]
DEPENDENT = "urn:globus:auth:grant_type:dependent_token"


def post(path: str, client: tuple[str, str], **form: str) -> requests.Response:
    answer = requests.post(f"{AUTH}v2/oauth2/{path}", data=form, auth=client, timeout=60)
    print("POST", path, form.get("grant_type", ""), answer.status_code)
    return answer


def main(redirect_uri: str, scope: str, dependency: str) -> None:
    state, nonce = secrets.token_urlsafe(), secrets.token_urlsafe()
    wanted = f"openid profile email {scope}[*{dependency}]"
    asked = {"client_id": PORTAL[0], "redirect_uri": redirect_uri, "scope": wanted, "state": state, "nonce": nonce}
    print(f"{AUTH}v2/oauth2/authorize?{urlencode({**asked, 'response_type': 'code', 'access_type': 'offline'})}", flush=True)
    code, returned = sys.stdin.readline().split()
    assert returned == state, "the answer belongs to another request"

    tokens = post("token", PORTAL, grant_type="authorization_code", code=code, redirect_uri=redirect_uri).json()
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert claims["nonce"] == nonce, "the id token belongs to another request"
    (for_service,) = tokens["other_tokens"]
    person = requests.get(f"{AUTH}v2/oauth2/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}, timeout=60)
    print("GET userinfo", person.status_code, person.json()["preferred_username"])
    refreshed = post("token", PORTAL, grant_type="refresh_token", refresh_token=for_service["refresh_token"]).json()
    told = post("token/introspect", SERVICE, token=refreshed["access_token"], include="identity_set").json()
    assert told["active"], "the service knows its token"
    assert told["sub"] == claims["sub"], "and whose it is"
    (dependent,) = post("token", SERVICE, grant_type=DEPENDENT, token=refreshed["access_token"], scope=dependency).json()
    print("dependent token for", dependent["resource_server"])
    post("token", SERVICE, grant_type="client_credentials", scope=dependency)
    for token in (refreshed["access_token"], for_service["refresh_token"], tokens["refresh_token"]):
        post("token/revoke", PORTAL, token=token)
    print("active afterwards:", post("token/introspect", SERVICE, token=refreshed["access_token"]).json()["active"])


if __name__ == "__main__":
    main(*sys.argv[1:])
