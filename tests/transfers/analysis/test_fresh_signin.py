"""A graph of files whose collection wants more of a sign-in: she is told what, led there, and tries again."""

import re
import shutil
import sqlite3
import uuid
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest

from datasets.models import Location
from tests.transfers.analysis.conftest import run_until
from tests.transfers.analysis.test_graphs import ask
from tests.transfers.guarded import DEE, guarded, guarded_folder, real_dee, sign_in_at
from transfers import graph, tokens
from transfers.analysis import graphs

pytestmark = pytest.mark.long
__all__ = ["guarded", "guarded_folder", "real_dee"]  # fixtures


def let_graphs_read(world, collection):
    """As if the graph service's scope had been registered with this collection below it."""
    row = (world.environment["CAUSEWAY_GRAPH_SCOPE"], f"https://auth.globus.org/scopes/{collection}/https", True)
    with closing(sqlite3.connect(world.stack.places.globus / "localglobus.sqlite", timeout=30)) as db, db:
        db.execute("INSERT INTO scope_dependency (scope, dependency, is_optional) VALUES (?, ?, ?)", row)


def test_a_graph_says_which_sign_in_its_collection_wants_and_is_drawn_after_it(
    client, world, drawable, real_dee, guarded, guarded_folder, settings
):
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = world.stack.addresses.localglobus
    settings.SOCIAL_AUTH_GLOBUS_KEY = world.environment["CAUSEWAY_GLOBUS_CLIENT_ID"]
    version = drawable()
    shutil.copytree(world.archive / version.dataset.slug, guarded_folder / "data")
    Location.objects.filter(version=version).update(collection_id=guarded, base_path="/data/")
    let_graphs_read(world, guarded)
    tokens.store_tokens(real_dee, world.sign_in(DEE, graph.scope_to_read([guarded])))
    job = run_until(ask(real_dee, version, kinds=["map"]), "failed")
    (failure,) = job.failures
    assert failure["authorization_parameters"]["session_required_mfa"] is True
    client.force_login(real_dee)
    page = client.get(job.get_absolute_url()).content.decode()
    (address,) = re.findall(r'class="btn" href="(/consent/[^"]+)"', page)
    address = address.replace("&amp;", "&")
    assert "A second factor" in client.get(address).content.decode()
    sent = client.post("/consent/", parse_qs(urlsplit(address).query))
    tokens.store_tokens(real_dee, sign_in_at(world, sent["Location"]))
    run_until(graphs.try_again(job, user=real_dee), "done")
    assert uuid.UUID(str(job.sources.get().collection_id)) == guarded
