"""Where the agent keeps things below its root folder, in the layout of the official agent on Linux."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """Paths below `root`, which is `/` on a real machine."""

    root: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Paths:
        """The paths that `ISTHMUS_AGENT_ROOT` chooses, default `/`."""
        return cls(root=Path(environ.get("ISTHMUS_AGENT_ROOT") or "/"))

    @property
    def state(self) -> Path:
        """Folder of everything the agent remembers."""
        return self.root / "var/opt/azcmagent"

    @property
    def config(self) -> Path:
        """What the machine is connected to; exists only while it is connected."""
        return self.state / "agentconfig.json"

    @property
    def certs(self) -> Path:
        """Folder of the private keys."""
        return self.state / "certs"

    @property
    def saved_key(self) -> Path:
        """The key that genkey made and no connect has used yet."""
        return self.certs / "genPrivateKey.pem"

    @property
    def log(self) -> Path:
        """Folder of the logs."""
        return self.state / "log"

    @property
    def socks(self) -> Path:
        """Folder of the service's socket and of its last known status."""
        return self.state / "socks"

    @property
    def status(self) -> Path:
        """What the service last achieved."""
        return self.socks / "status.json"

    @property
    def lock(self) -> Path:
        """Held by whoever changes keys or configuration."""
        return self.socks / "lock"
