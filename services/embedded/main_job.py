"""The steps of `script/demo --check`: a researcher finds data, gets a share, downloads, sends, draws, and ends the share.

Every step goes through the interfaces that people and clients use: pages and forms, the API, mail, HTTPS of the data transfer nodes.
The order is that of `STEPS`, at the end. How steps are run is `check.py`.
"""

import email
import email.policy
import hashlib
import json
import re
import subprocess
import sys
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx

from services.embedded.check import Check, CheckError, Step, first_page
from services.embedded.stack import CHECKOUT, Stack
from services.embedded.visitor import Page, PageError, Visitor

ADA = "ada@university.example"
CY = "cy@elsewhere.example"
SHARED_DATASET, SHARED_FOLDER = "nemo-monthly", "2015"
SENT_DATASET = "um-sea-ice-velocity"
SENT_FOLDERS = ("1890", "1891")
DRAWN_DATASETS = ("a1b-north-america", "e1-north-america")


def visitor_of(check: Check) -> Visitor:
    """Ada's browser, the same through all steps."""
    if "ada" not in check.facts:
        check.facts["ada"] = Visitor(ca_file=check.stack.ca_file, start=check.stack.base_url + "/")
    visitor: Visitor = check.facts["ada"]
    return visitor


def pass_globus(visitor: Visitor, page: Page, *, person: str) -> Page:
    """Answer the pages of Globus Auth: who you are, and what you allow. Returns the page behind them."""
    for _ in range(6):
        if page.has_button(person) and "/v2/" in page.url:
            page = visitor.submit(page, person)
        elif page.has_button("Allow") and "/v2/" in page.url:
            page = visitor.submit(page, "Allow")
        else:
            return page
    raise PageError(f"Globus Auth asks without end at {page.url}: {page.summary()}")


def sign_in(visitor: Visitor, *, person: str) -> Page:
    """Sign in to the portal; returns the page that she comes back to."""
    page = visitor.open("/signin/?next=/profile/")
    return pass_globus(visitor, visitor.submit(page, "Continue to Globus"), person=person)


def call_api(visitor: Visitor, path: str, asked: dict[str, Any] | None = None, *, method: str = "", expected: int = 0) -> Any:
    """A call of the API in the visitor's session: GET, or POST of `asked`. Raises CheckError for another status than `expected`."""
    method = method or ("GET" if asked is None else "POST")
    headers = {"Accept": "application/json", "X-CSRFToken": visitor.client.cookies.get("causeway_csrf") or "", "Referer": visitor.start}
    answer = visitor.client.request(method, visitor.start + "api/v1/" + path, json=asked, headers=headers)
    if answer.status_code != (expected or (200 if method == "GET" else 202)):
        raise CheckError(f"{method} /api/v1/{path} answered {answer.status_code}: {answer.text[:400]}")
    return answer.json() if answer.content else None


def post_with_consents(visitor: Visitor, path: str, asked: dict[str, Any], *, person: str) -> tuple[Any, list[str]]:
    """POST to the API what may need further permissions: each is given when it is asked for. Answers the document and what was asked."""
    given: list[str] = []
    for _ in range(4):
        headers = {"Accept": "application/json", "X-CSRFToken": visitor.client.cookies.get("causeway_csrf") or "", "Referer": visitor.start}
        answer = visitor.client.post(visitor.start + "api/v1/" + path, json=asked, headers=headers)
        scopes = answer.json().get("required_scopes") if answer.status_code == 403 else None
        if not scopes:
            if answer.status_code != httpx.codes.ACCEPTED:
                raise CheckError(f"POST /api/v1/{path} answered {answer.status_code}: {answer.text[:400]}")
            return answer.json(), given
        give_consent(visitor, scopes, person=person)
        given += scopes
    raise CheckError(f"consent is asked again and again: {given}")


def give_consent(visitor: Visitor, scopes: list[str], *, person: str) -> None:
    """Allow the portal more, on its consent page and on those of Globus Auth."""
    page = visitor.open("/consent/?" + urlencode([("scope", scope) for scope in scopes] + [("next", "/profile/")]))
    pass_globus(visitor, visitor.submit(page, "Continue to Globus"), person=person)


def researcher_signs_in(check: Check) -> str:
    page = sign_in(visitor_of(check), person=ADA)
    if ADA not in page.text or "/profile/" not in page.url:
        raise CheckError(f"signing in ended at {page.url}: {page.summary()}")
    return f"{ADA}, by OAuth code flow with PKCE; back at {page.url}"


def finds_data_in_spite_of_a_typo(check: Check) -> str:
    found = call_api(visitor_of(check), "datasets?q=tempeature")
    if not found["total"]:
        raise CheckError(f"nothing found: {json.dumps(found)[:300]}")
    names = [row["slug"] for row in found["results"]][:4]
    return f"'tempeature' finds {found['total']} datasets: {', '.join(names)} ..."


def asks_for_a_share(check: Check) -> str:
    asked = {"kind": "share", "selections": [{"dataset": SHARED_DATASET}]}
    for request in call_api(visitor_of(check), "data-requests?status=open")["results"]:  # of an earlier check that did not come to its end
        call_api(visitor_of(check), f"data-requests/{request['id']}/cancel", {})
        wait_for_status(check, request["id"], "expired")
    made = call_api(visitor_of(check), "data-requests", asked)
    check.facts["share"] = made["id"]
    return f"request {made['id']}: {made['n_files']} files, {made['size_bytes']:,} bytes, {made['status']}"


def waits_until_it_is_open(check: Check) -> str:
    request = wait_for_status(check, check.facts["share"], "open")
    check.facts["share_document"] = request
    moves = " > ".join(dict.fromkeys(event["new"] for event in request["events"]))
    return f"{moves}; rule {request['share']['rule_id']} until {request['share']['expires_at'][:10]}"


def wait_for_status(check: Check, request_id: str, wanted: str, *, timeout_s: float = 90) -> Any:
    """Poll a data request until it has the status; a failed one is said with its words."""

    def look() -> Any:
        request = call_api(visitor_of(check), f"data-requests/{request_id}")
        if request["status"] == "failed":
            raise CheckError(f"request {request_id} failed: {request['failure']}")
        return request if request["status"] == wanted else None

    return check.wait_for(f"request {request_id} in state {wanted}", look, timeout_s=timeout_s)


def gets_a_mail(check: Check) -> str:
    request_id = check.facts["share"]

    def look() -> Any:
        for path in sorted(check.stack.places.mail.rglob("*")):
            if path.is_file() and request_id in (text := path.read_text()):
                return email.message_from_string(text, policy=email.policy.default)
        return None

    mail = check.wait_for("the mail", look, timeout_s=20)
    body = mail.get_body(("plain",)).get_content()
    links = re.findall(r"https?://\S+", body)
    if not any("/file-manager?" in link for link in links):
        raise CheckError(f"no link to the file manager in the mail: {links}")
    return f"to {mail['To']}: {mail['Subject']}"


def downloads_over_https(check: Check) -> str:
    """As a browser does: sent to sign-in by the node, back to the file, digest compared with the catalogue's."""
    visitor = visitor_of(check)
    share = check.facts["share_document"]["share"]
    name, wanted = first_file(check, SHARED_DATASET, folder=SHARED_FOLDER)
    listing = pass_globus(visitor, visitor.open(share["https_url"]), person=ADA)
    address = find_file(visitor, listing, name)
    digest, size = hashlib.sha256(), 0
    for chunk in visitor.download(address):
        digest.update(chunk)
        size += len(chunk)
    if digest.hexdigest() != wanted:
        raise CheckError(f"{address}: SHA-256 {digest.hexdigest()} instead of {wanted}")
    check.facts["downloaded"] = address
    return f"{name}, {size:,} bytes, SHA-256 as in the catalogue"


def first_file(check: Check, slug: str, *, folder: str = "") -> tuple[str, str]:
    """A file of a dataset: its name and SHA-256."""
    path = f"datasets/{slug}/versions/1/files" + (f"?folder=/{folder}/" if folder else "")
    rows = [row for row in call_api(visitor_of(check), path)["files"] if row.get("sha256")]
    if not rows:
        raise CheckError(f"the catalogue has no file with a digest in {path}")
    return rows[0]["path"].rpartition("/")[2], rows[0]["sha256"]


def find_file(visitor: Visitor, listing: Page, name: str, *, depth: int = 4) -> str:
    """The address of a file of that name in a listing of the node or below it."""
    for address, text in listing.links:
        if text.strip() == name or address.split("?")[0].endswith("/" + quote(name)):
            return str(httpx.URL(listing.url).join(address))
    if depth:
        for address, _ in listing.links:
            target = str(httpx.URL(listing.url).join(address))
            if target.endswith("/") and target.startswith(listing.url) and target != listing.url:
                try:
                    return find_file(visitor, visitor.open(target), name, depth=depth - 1)
                except PageError:
                    continue
    raise PageError(f"{listing.url} ({listing.status}) does not lead to {name}: {listing.summary()}")


def a_stranger_is_refused(check: Check) -> str:
    """Somebody else, signed in with her own identity, gets neither the request's page nor the file."""
    cy = Visitor(ca_file=check.stack.ca_file, start=check.stack.base_url + "/")
    sign_in(cy, person=CY)
    page = cy.open(f"/requests/{check.facts['share']}/")
    file = pass_globus(cy, cy.open(check.facts["downloaded"]), person=CY)
    nobody = Visitor(ca_file=check.stack.ca_file, start=check.stack.base_url + "/")
    anonymous = nobody.client.get(check.facts["downloaded"], headers={"Accept": "*/*"})
    nobody.close()
    cy.close()
    if (page.status, file.status, anonymous.status_code) != (404, 403, 401):
        raise CheckError(f"request page {page.status}, file as {CY} {file.status}, file without sign-in {anonymous.status_code}")
    return f"{CY}: request page 404, file 403; without sign-in: file 401"


def sends_to_her_collection(check: Check) -> str:
    visitor = visitor_of(check)
    campus = check.stack.globus_environment["CAUSEWAY_CAMPUS_COLLECTION"]
    folders = [f"/{name}/" for name in SENT_FOLDERS]
    asked = {
        "kind": "transfer",
        "selections": [{"dataset": SENT_DATASET, "folders": folders}],
        "destination": {"collection_id": campus, "path": "/home/ada/from-causeway/", "name": "Campus storage"},
    }
    made, consents = post_with_consents(visitor, "data-requests", asked, person=ADA)
    done = wait_for_status(check, made["id"], "sent")
    arrived = [path for path in (check.stack.places.campus / "home/ada/from-causeway").rglob("*.pp") if path.is_file()]
    if len(arrived) != made["n_files"]:
        raise CheckError(f"{len(arrived)} files arrived of {made['n_files']}")
    wanted = {first_file(check, SENT_DATASET, folder=name) for name in SENT_FOLDERS}
    found = {(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in arrived}
    if not wanted <= found:
        raise CheckError("what arrived has other digests than the catalogue")
    return f"{len(arrived)} files, {done['size_bytes']:,} bytes on Campus storage; consents asked on the way: {len(consents)}"


def draws_a_graph(check: Check) -> str:
    visitor = visitor_of(check)
    asked = {"datasets": [{"dataset": slug} for slug in DRAWN_DATASETS], "start_year": 1900, "end_year": 2000}
    made, consents = post_with_consents(visitor, "graphs", asked, person=ADA)

    def look() -> Any:
        job = call_api(visitor, f"graphs/{made['id']}")
        if job["status"] == "failed":
            raise CheckError(f"graph {made['id']} failed: {json.dumps(job)[:400]}")
        return job if job["status"] in {"done", "partial", "needs-sign-in"} else None

    job = check.wait_for("the graph", look, timeout_s=90)
    if job["status"] == "needs-sign-in":  # she took a permission back at Globus: the job waits for it, and goes on
        consents += job["required_scopes"]
        give_consent(visitor, job["required_scopes"], person=ADA)
        job = check.wait_for("the graph", lambda: found if (found := look()) and found["status"] != "needs-sign-in" else None, timeout_s=90)
    if not job["results"]:
        raise CheckError(f"no picture: {json.dumps(job)[:400]}")
    return f"{len(job['results'])} pictures; {job['results'][0]['text_alternative'][:110]}; consents asked: {len(consents)}"


def the_share_expires(check: Check) -> str:
    """Its time is over, as the worker's clock finds: nothing is left behind, no rule, no folder, no file behind the link."""
    request_id = check.facts["share"]
    folder = check.stack.places.archive / "shares/requests" / request_id
    if not folder.is_dir():
        raise CheckError(f"the share's folder is not where it should be: {folder}")
    let_time_pass(check.stack, request_id, days=31)
    wait_for_status(check, request_id, "expired")
    answer = visitor_of(check).client.get(check.facts["downloaded"])
    visitor_of(check).close()
    if folder.exists() or answer.status_code not in {403, 404}:
        raise CheckError(f"something is left: folder {folder.exists()}, the link answers {answer.status_code}")
    return f"31 days later: expired; folder gone, rule gone, the link answers {answer.status_code}"


def let_time_pass(stack: Stack, request_id: str, *, days: float) -> None:
    """Move a data request's dates into the past, as if `days` had gone by. The only thing here that no person could do."""
    code = f"""
from datetime import timedelta
from django.db.models import F
from transfers.models import DataRequest
gone = timedelta(days={days})
DataRequest.objects.filter(pk={str(UUID(request_id))!r}).update(expires_at=F("expires_at") - gone, due_at=F("due_at") - gone)
"""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, env=stack.portal_environment(), capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise CheckError(f"the clock could not be moved: {done.stderr[-400:]}")


STEPS: tuple[Step, ...] = (
    ("first page", first_page),
    ("signs in", researcher_signs_in),
    ("finds data", finds_data_in_spite_of_a_typo),
    ("asks for a share", asks_for_a_share),
    ("share open", waits_until_it_is_open),
    ("mail", gets_a_mail),
    ("HTTPS download", downloads_over_https),
    ("a stranger is refused", a_stranger_is_refused),
    ("sends to her collection", sends_to_her_collection),
    ("graph", draws_a_graph),
    ("share expires", the_share_expires),
)
