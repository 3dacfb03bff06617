"""Figure 11.12 for today's SDK: what the graph service does with a request, and how it cleans up.

    python fig_11_12_graph_service.py <scope of the service> <source collection> <path of a CSV file> <results collection>

Reads the caller's access token from standard input; a second line, whatever it says, makes it clean up.

Then: oauth2_token_introspect, oauth2_get_dependent_tokens, endpoint_autoactivate, requests.get from and requests.put to the HTTPS
servers, operation_mkdir, add_endpoint_acl_rule; delete_endpoint_acl_rule and submit_delete to clean up.
Now: the same calls. The audience is compared with the service's client id and the scope with its own; who may read the graph is the
token's identity, not a field of the request; results are written with the service's own token, since it manages that collection.
"""

import os
import sys

import requests
from globus_sdk import ClientApp, ConfidentialAppAuthClient, DeleteData, GlobusAppConfig, TransferAPIError, TransferClient
from globus_sdk.scopes import GCSCollectionScopes

TIMEOUT_S = 60


class GraphService:
    def __init__(self, scope: str) -> None:
        self.id, secret = os.environ["CAUSEWAY_GRAPH_CLIENT_ID"], os.environ["CAUSEWAY_GRAPH_CLIENT_SECRET"]
        self.auth, self.scope = ConfidentialAppAuthClient(self.id, secret), scope
        app = ClientApp("figure 11.12", client_id=self.id, client_secret=secret, config=GlobusAppConfig(token_storage="memory"))
        self.transfer = TransferClient(app=app)

    def admit(self, token: str) -> str:
        """The identity behind a token that is meant for this service."""
        told = self.auth.oauth2_token_introspect(token)
        if not told["active"] or self.id not in told["aud"] or self.scope not in told["scope"].split():
            sys.exit("401: not a token for this service")
        identity: str = told["sub"]
        return identity

    def read(self, token: str, collection: str, path: str) -> str:
        """The file, read as the caller: with a token that hers was exchanged for."""
        wanted = str(GCSCollectionScopes(collection).https)
        held = self.auth.oauth2_get_dependent_tokens(token, scope=wanted).by_resource_server[collection]["access_token"]
        as_caller = self.transfer.get_endpoint(collection)["https_server"] + path
        answer = requests.get(as_caller, headers={"Authorization": f"Bearer {held}"}, timeout=TIMEOUT_S, allow_redirects=False)
        answer.raise_for_status()
        return answer.text

    def deliver(self, svg: str, collection: str, identity: str) -> tuple[str, str]:
        """`(folder, rule)`: the graph in a folder that this identity may read."""
        folder = f"/graphs-for-{identity}/"
        try:
            self.transfer.operation_mkdir(collection, folder)
        except TransferAPIError as error:
            if "MkdirFailed.Exists" not in (error.code or ""):
                raise
        rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": folder, "permissions": "r"}
        rule_id = self.transfer.add_endpoint_acl_rule(collection, rule)["access_id"]
        own = self.auth.oauth2_client_credentials_tokens(str(GCSCollectionScopes(collection).https))["access_token"]
        address = f"{self.transfer.get_endpoint(collection)['https_server']}{folder}graph.svg"
        requests.put(address, data=svg, headers={"Authorization": f"Bearer {own}"}, timeout=TIMEOUT_S).raise_for_status()
        return folder, rule_id

    def clean_up(self, collection: str, folder: str, rule_id: str) -> None:
        self.transfer.delete_endpoint_acl_rule(collection, rule_id)
        delete = DeleteData(endpoint=collection, recursive=True)
        delete.add_item(folder)
        task_id = self.transfer.submit_delete(delete)["task_id"]
        while not self.transfer.task_wait(task_id, timeout=60, polling_interval=1):
            pass


def draw(csv: str) -> str:
    """Numbers, a line each, as bars: graphs are not what this figure is about."""
    bars = "".join(f'<rect x="{10 * place}" width="8" height="{float(line)}"/>' for place, line in enumerate(csv.split()))
    return f'<svg xmlns="http://www.w3.org/2000/svg">{bars}</svg>'


def main(scope: str, source: str, path: str, results: str) -> None:
    service, token = GraphService(scope), sys.stdin.readline().strip()
    identity = service.admit(token)
    folder, rule_id = service.deliver(draw(service.read(token, source, path)), results, identity)
    print(folder, flush=True)
    if sys.stdin.readline():
        service.clean_up(results, folder, rule_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
