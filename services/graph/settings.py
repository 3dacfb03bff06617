"""What the environment tells this service. Read once at the start; a missing value stops the start and is named."""

import os
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """A setting is missing or cannot be read."""


@dataclass(frozen=True)
class Settings:
    """`folder` holds the job store, the key of kept tokens and the cache of drawings."""

    folder: Path
    client_id: str
    client_secret: str
    scope: str
    results_collection: str
    redis_url: str

    @classmethod
    def from_environment(cls, folder: Path) -> "Settings":
        """Raises SettingsError naming the variable. Secrets may also come from the file that `<NAME>_FILE` names."""
        return cls(
            folder=folder,
            client_id=_read("CAUSEWAY_GRAPH_CLIENT_ID"),
            client_secret=_read("CAUSEWAY_GRAPH_CLIENT_SECRET"),
            scope=_read("CAUSEWAY_GRAPH_SCOPE"),
            results_collection=_read("CAUSEWAY_RESULTS_COLLECTION"),
            redis_url=_read("REDIS_URL"),
        )

    @property
    def broker_url(self) -> str:
        """`REDIS_URL` as Celery writes it: `unix:///a/socket?db=1` is `redis+socket:///a/socket?virtual_host=1`."""
        if self.redis_url.startswith("unix://"):
            return self.redis_url.replace("unix://", "redis+socket://", 1).replace("db=", "virtual_host=", 1)
        return self.redis_url


def _read(name: str) -> str:
    file = os.environ.get(f"{name}_FILE")
    value = Path(file).read_text().strip() if file else os.environ.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: the graph service cannot start without it.")
    return value
