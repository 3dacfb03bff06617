"""The demo world: people, groups, clients, scopes, collections and roles, and the env files that tell others of it.

Put in place at each start, whatever is there already: ids are made once and kept under a name in the table `seeded`. Secrets are not in
the store; they live in the env files (0600), and a lost file means a new secret beside the old one.
"""

import secrets
import shlex
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.localglobus import groups
from services.localglobus.auth import clients, identities, scopes
from services.localglobus.auth.keys import write_private
from services.localglobus.settings import Settings
from services.localglobus.store import Connection, Store
from services.localglobus.transfer import collections

SCHEMA = "create table if not exists seeded (name text primary key, id text not null);"

SERVICES = {
    # resource server: (client id, title, {scope: what it allows})
    scopes.AUTH_SERVER: (
        "58c92a30-a0ae-5b3e-a2b1-1f4a2f2c3b55",
        "Globus Auth",
        {
            "openid": "Know who you are",
            "profile": "See your name and where you come from",
            "email": "See your e-mail address",
            scopes.VIEW_IDENTITY_SET: "See the identities that you have linked",
            "urn:globus:auth:scope:auth.globus.org:view_identities": "Look up other people's identities",
            "urn:globus:auth:scope:auth.globus.org:manage_projects": "Manage your projects",
        },
    ),
    "transfer.api.globus.org": (
        "2fbdda78-a599-4cb5-ac3d-1fbcfbc6a754",
        "Globus Transfer",
        {scopes.TRANSFER_ALL: "List, transfer and delete files, and manage collections, as you"},
    ),
    "groups.api.globus.org": (
        "04896e9e-b98e-437e-becd-8084b9e234a0",
        "Globus Groups",
        {scopes.GROUPS_ALL: "See and manage your groups", scopes.VIEW_MY_GROUPS: "See the groups that you are in"},
    ),
    "search.api.globus.org": (
        "4f0fffb2-8a7c-5f0e-9d1b-6c8f4b7b7d31",
        "Globus Search",
        {
            "urn:globus:auth:scope:search.api.globus.org:all": "Search and manage indices",
            "urn:globus:auth:scope:search.api.globus.org:search": "Search",
            "urn:globus:auth:scope:search.api.globus.org:ingest": "Write to indices",
        },
    ),
    "flows.globus.org": (
        "eec9b274-0c81-4334-bdc2-54e90e689b9a",
        "Globus Flows",
        {f"{scopes.URL_PREFIX}eec9b274-0c81-4334-bdc2-54e90e689b9a/all": "Run and manage flows"},
    ),
    "524230d7-ea86-4a52-8312-86065a9e0417": (
        "524230d7-ea86-4a52-8312-86065a9e0417",
        "Globus Timers",
        {f"{scopes.URL_PREFIX}524230d7-ea86-4a52-8312-86065a9e0417/timer": "Schedule transfers"},
    ),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """Ids of what the demo world holds; kept in `app.state.world`."""

    people: dict[str, str]
    stewards: str
    operators: str
    portal_client: str
    graph_client: str
    demo_client: str
    webapp_client: str
    storage: str
    archive: str
    shares: str
    results: str
    campus: str

    @property
    def api_scope(self) -> str:
        return f"{scopes.URL_PREFIX}{self.portal_client}/api"

    @property
    def graph_scope(self) -> str:
        return f"{scopes.URL_PREFIX}{self.graph_client}/graph"


def plant(store: Store, settings: Settings) -> World:
    """Put the demo world into the store and write the env files and the nodes' secrets. Safe to repeat."""
    world = store.write_now(_plant, settings)
    for name in settings.nodes:
        path = settings.data / f"dtn-{name}.secret"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32).encode())
    write_env_files(store, settings, world)
    return world


def _plant(connection: Connection, settings: Settings) -> World:
    for name, (client_id, title, found) in SERVICES.items():
        scopes.register_resource_server(connection, name, client_id=client_id, title=title, scopes=found)
    for name in ("524230d7-ea86-4a52-8312-86065a9e0417/timer", "eec9b274-0c81-4334-bdc2-54e90e689b9a/all"):
        scopes.declare_dependency(connection, scopes.URL_PREFIX + name, scopes.TRANSFER_ALL, is_optional=True)
    people = _plant_people(connection)
    portal = _plant_client(connection, "portal", "Causeway", [f"{settings.portal_url}/complete/globus/", *settings.redirect_uris])
    graph = _plant_client(connection, "graph", "Causeway graph service", [])
    demo = _plant_client(connection, "demo", "Causeway demo service client", [])
    webapp = _plant_client(connection, "webapp", "Globus web app (local)", [f"{settings.url}/web/callback"])
    stewards = _plant_group(connection, "stewards", "Causeway Stewards", member=people["ben"], admin=portal)
    operators = _plant_group(connection, "operators", "Causeway Operators", member=people["dee"], admin=portal)
    storage, guests = _plant_archive(connection, settings, people, portal=portal, graph=graph, demo=demo)
    campus = _plant_campus(connection, settings, people, demo=demo)
    for collection in collections.all_collections(connection):
        clients.create(
            connection, client_id=collection.id, name=collection.display_name, is_public=True, redirect_uris=[collection.redirect_uri]
        )
    world = World(
        people=people,
        stewards=stewards,
        operators=operators,
        portal_client=portal,
        graph_client=graph,
        demo_client=demo,
        webapp_client=webapp,
        storage=storage,
        campus=campus,
        **guests,
    )
    words = {world.api_scope: "Search the catalogue and make data requests as you"}
    scopes.register_resource_server(connection, portal, client_id=portal, title="Causeway", scopes=words)
    words = {world.graph_scope: "Read the data that you name and draw graphs of them for you"}
    scopes.register_resource_server(connection, graph, client_id=graph, title="Causeway graph service", scopes=words)
    scopes.declare_dependency(connection, world.graph_scope, scopes.https(world.archive), is_optional=True)
    return world


def _once(connection: Connection, name: str, make: Callable[[], str] | None = None) -> str:
    """The id that was given to `name`; at first it is made by `make`, or at random."""
    row = connection.execute("select id from seeded where name = ?", (name,)).fetchone()
    if row is not None:
        return str(row["id"])
    made = make() if make else str(uuid.uuid4())
    connection.execute("insert into seeded (name, id) values (?, ?)", (name, made))
    return made


def _plant_people(connection: Connection) -> dict[str, str]:
    identities.register_provider(connection, name="Causeway University", domains=["university.example"])
    identities.register_provider(connection, name="Causeway Archive", domains=["archive.example"])
    identities.register_provider(connection, name="Causeway Observatory", domains=["observatory.example"])
    identities.register_provider(connection, name="Elsewhere Institute", domains=["elsewhere.example"])
    cast = {
        "ada": ("ada@university.example", "Ada Lindqvist", "Causeway University", None),
        "ada-observatory": ("ada@observatory.example", "Ada Lindqvist", "Causeway Observatory", "ada"),
        "ben": ("ben@archive.example", "Ben Okafor", "Causeway Archive", None),
        "cy": ("cy@elsewhere.example", "Cy Marsh", "Elsewhere Institute", None),
        "dee": ("dee@archive.example", "Dee Romero", "Causeway Archive", None),
    }
    people: dict[str, str] = {}
    for key, (username, name, organization, linked_to) in cast.items():
        people[key] = identities.create(
            connection,
            identity_id=_once(connection, f"identity:{key}"),
            username=username,
            name=name,
            email=username,
            organization=organization,
            account_id=people[linked_to] if linked_to else None,
        )
    return people


def _plant_client(connection: Connection, key: str, name: str, redirect_uris: list[str]) -> str:
    client_id = _once(connection, f"client:{key}")
    clients.create(connection, client_id=client_id, name=name, redirect_uris=redirect_uris)
    return client_id


def _plant_group(connection: Connection, key: str, name: str, *, member: str, admin: str) -> str:
    def make() -> str:
        group_id = str(uuid.uuid4())
        groups.create(connection, group_id=group_id, name=name)
        groups.set_member(connection, group_id, member)
        groups.set_member(connection, group_id, admin, role="admin")
        return group_id

    return _once(connection, f"group:{key}", make)


def _plant_endpoint(connection: Connection, settings: Settings, node: str, *, name: str, organization: str, owner: str) -> str:
    gcs_address, node_url = settings.gcs_url(node), settings.nodes[node]

    def make() -> str:
        return collections.create_endpoint(
            connection,
            node=node,
            display_name=name,
            gcs_address=gcs_address,
            node_url=node_url,
            owner_id=owner,
            organization=organization,
        )

    endpoint = _once(connection, f"endpoint:{node}", make)
    collections.move_endpoint(connection, node=node, node_url=node_url, gcs_address=gcs_address)
    return endpoint


def _plant_archive(
    connection: Connection, settings: Settings, people: dict[str, str], *, portal: str, graph: str, demo: str
) -> tuple[str, dict[str, str]]:
    """`(mapped collection, guest collections by field of World)` of the institution's storage."""
    endpoint = _plant_endpoint(
        connection, settings, "archive", name="Causeway archive", organization="Causeway Archive", owner=people["dee"]
    )
    storage = _once(
        connection,
        "collection:storage",
        lambda: collections.create_mapped(connection, endpoint_id=endpoint, display_name="Archive storage", is_public=False),
    )
    accounts = {people["dee"]: "dee", portal: "causeway", graph: "graph", demo: "demo"}
    credentials = {
        identity: collections.map_identity(connection, endpoint_id=endpoint, identity_id=identity, account=account)
        for identity, account in accounts.items()
    }
    collections.grant_role(connection, subject_id=endpoint, principal=demo, role="administrator")

    def make(name: str, base_path: str, description: str) -> Callable[[], str]:
        return lambda: collections.create_guest(
            connection,
            mapped_id=storage,
            display_name=name,
            base_path=base_path,
            owner_id=people["dee"],
            description=description,
            user_credential_id=credentials[people["dee"]],
        )

    guests = {
        "archive": _once(connection, "collection:archive", make("Causeway Archive", "/data/", "The published datasets")),
        "shares": _once(connection, "collection:shares", make("Causeway Shares", "/shares/", "Data requests, a folder each")),
        "results": _once(connection, "collection:results", make("Causeway Results", "/results/", "Graphs and analyses, a folder each")),
    }
    for key, collection_id in guests.items():
        manager = graph if key == "results" else portal
        collections.grant_role(connection, subject_id=collection_id, principal=manager, role="access_manager")
        collections.grant_role(connection, subject_id=collection_id, principal=demo, role="administrator")
    return storage, guests


def _plant_campus(connection: Connection, settings: Settings, people: dict[str, str], *, demo: str) -> str:
    endpoint = _plant_endpoint(
        connection, settings, "campus", name="Causeway campus", organization="Causeway University", owner=people["dee"]
    )
    campus = _once(
        connection,
        "collection:campus",
        lambda: collections.create_mapped(connection, endpoint_id=endpoint, display_name="Campus storage"),
    )
    collections.map_identity(connection, endpoint_id=endpoint, identity_id=people["ada"], account="ada", home="/home/ada/")
    collections.map_identity(connection, endpoint_id=endpoint, identity_id=demo, account="demo")
    collections.grant_role(connection, subject_id=endpoint, principal=demo, role="administrator")
    return campus


def write_env_files(store: Store, settings: Settings, world: World) -> None:
    """`env`, `portal.env` and `graph.env`, each replaced at once. Secrets found in them are kept."""
    url, folder = settings.url, settings.data
    services = ("AUTH", "TRANSFER", "GROUPS", "SEARCH", "TIMER", "FLOWS", "APP")
    lines = {f"GLOBUS_SDK_SERVICE_URL_{service}": f"{url}/" for service in services}
    lines |= {
        "GLOBUS_SDK_VERIFY_SSL": str((folder / "ca.pem").resolve()),
        "SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT": url,
        "GLOBUS_CLI_CLIENT_ID": world.demo_client,
        "GLOBUS_CLI_CLIENT_SECRET": _secret(store, folder / "env", "GLOBUS_CLI_CLIENT_SECRET", world.demo_client),
        "CAUSEWAY_ARCHIVE_COLLECTION": world.archive,
        "CAUSEWAY_CAMPUS_COLLECTION": world.campus,
        "CAUSEWAY_SHARE_COLLECTION": world.shares,
        "CAUSEWAY_RESULTS_COLLECTION": world.results,
        "CAUSEWAY_STORAGE_COLLECTION": world.storage,
        "CAUSEWAY_GCS_ADDRESS": settings.gcs_url("archive"),
        "CAUSEWAY_STEWARD_GROUPS": world.stewards,
        "CAUSEWAY_OPERATOR_GROUPS": world.operators,
        "CAUSEWAY_GRAPH_SCOPE": world.graph_scope,
        "CAUSEWAY_API_SCOPE": world.api_scope,
    }
    write_env(folder / "env", lines)
    for name, prefix, client_id in (
        ("portal.env", "CAUSEWAY_GLOBUS", world.portal_client),
        ("graph.env", "CAUSEWAY_GRAPH", world.graph_client),
    ):
        secret = _secret(store, folder / name, f"{prefix}_CLIENT_SECRET", client_id)
        write_env(folder / name, {f"{prefix}_CLIENT_ID": client_id, f"{prefix}_CLIENT_SECRET": secret})


def _secret(store: Store, path: Path, name: str, client_id: str) -> str:
    """The client's secret as written in `path`, accepted by the store from now on; a new one when there is none."""
    secret = read_env(path).get(name) or secrets.token_urlsafe(32)
    store.write_now(clients.set_secret, client_id, secret)
    return secret


def read_env(path: Path) -> dict[str, str]:
    """The `export NAME=value` lines of a file; nothing when there is no file."""
    if not path.exists():
        return {}
    words = [shlex.split(line) for line in path.read_text().splitlines() if line.startswith("export ")]
    pairs = [parts[1].partition("=") for parts in words if len(parts) == 2]
    return {name: value for name, _, value in pairs}


def write_env(path: Path, lines: dict[str, str]) -> None:
    """Write `export NAME=value` lines, quoted for the shell, readable by the owner alone."""
    write_private(path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items()).encode())
