"""What the command line says, in one frozen object: `app.state.settings`."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where this localglobus lives and whom it serves. URLs have no slash at the end."""

    data: Path
    host: str
    port: int
    portal_url: str
    graph_url: str
    redirect_uris: tuple[str, ...] = ()  # of the portal's client, beside its own
    nodes: dict[str, str] = field(default_factory=dict)
    has_faults: bool = False
    requests_per_second: float = 500.0
    active_tasks: int = 3
    least_timer_interval_s: float = 60.0
    allowed_hosts: tuple[str, ...] = ()  # beyond loopback: what it may bind and sign certificates for

    @property
    def url(self) -> str:
        """Of Auth, Transfer, Groups and the web app: one origin."""
        return f"http://{self.host}:{self.port}"

    def gcs_url(self, endpoint: str) -> str:
        """Of the GCS Manager of one endpoint: the listeners follow the main port in the order of `nodes`."""
        return f"https://{self.host}:{self.port + 1 + list(self.nodes).index(endpoint)}"
