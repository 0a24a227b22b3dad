"""An installation to look at: a real data folder with keys and a database, and a world outside that answers as a test says."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from isthmus import __version__
from isthmus.client import Note, find_server
from isthmus.doctor import Finding, Patient, Probes
from isthmus.doctor.probes import Reply, Silence
from isthmus.keys import KeyRing, LocalAuthority, operator_signer
from isthmus.settings import Settings
from tests.support.databases import Databases

ISSUER = "https://issuer.acme.com/aws"
URL = "https://localhost:8443"
NOW = time.time()


def answer(body: object = None, *, status: int = 200, ahead: float = 0.0) -> Reply:
    """An answer of somebody whose clock is ours, or behind ours by `ahead` seconds."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"date": formatdate(NOW - ahead, usegmt=True)}
    return Reply(status=status, headers=headers, body=text.encode(), asked=NOW, came=NOW + 0.1)


@dataclass(kw_only=True)
class World:
    """Everything outside the program. A test changes what it is about."""

    data: Path
    answers: dict[str, Reply | Silence] = field(default_factory=dict)
    addresses: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"issuer.acme.com": ["192.0.2.7"]})
    environ: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""
    is_offline: bool = False
    is_serving: bool = True

    def fetch(self, url: str, *, also: Sequence[Path] = (), only: Path | None = None, by_proxy: bool = False) -> Reply | Silence:
        """The answer of a URL; nobody listens elsewhere."""
        self.asked.append((url, only or tuple(also)))
        return self.answers.get(url, Silence(why="connection", detail="refused"))

    def patient(self) -> Patient:
        """The installation as it is now."""
        if self.is_serving:
            ca = str(self.data / "keys" / "ca.pem")
            Note(url=URL, pid=4711, ca=ca, issuer=ISSUER, subscription="s", version=__version__).write(self.data)
        usual = Probes(
            clock=lambda: NOW,
            fetch=self.fetch,
            resolve=lambda host: self.addresses.get(host, ()),
            bind=lambda _host, _port: 0,
            file_system=lambda _folder: "ext4",
            can_lock=lambda _folder: True,
            free_bytes=lambda _folder: 50_000_000_000,
            is_running=lambda process: process == 4711,
            find_program=lambda _name: None,
            run=lambda _command, _environ: "",
        )
        settings = Settings(**{"data": self.data, "issuer_url": ISSUER, "database_url": "", **self.settings})
        place = find_server(self.data, self.url, self.environ) if self.url or self.is_serving else None
        return Patient(
            settings=settings, environ=self.environ, place=place, is_offline=self.is_offline, probes=replace(usual, **self.probes)
        )


@pytest.fixture(scope="session")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key folder as a first start makes it; to be copied, since making keys takes a while."""
    keys = tmp_path_factory.mktemp("doctor") / "keys"
    LocalAuthority(keys, clock=time.time).server_file()
    for purpose in ("api", "audit", "aws"):
        KeyRing(keys, purpose, clock=time.time)
    operator_signer(keys)
    return keys


@pytest.fixture
def world(tmp_path: Path, databases: Databases, made_keys: Path) -> World:
    """An installation of which everything is well."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    databases.fresh_sqlite(data / "isthmus.db")
    shutil.copytree(made_keys, data / "keys")
    well = World(data=data)
    well.answers = {
        f"{URL}/readyz": answer({"status": "ready"}),
        f"{ISSUER}/.well-known/openid-configuration": answer({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/.well-known/jwks.json"}),
        f"{ISSUER}/.well-known/jwks.json": answer(KeyRing(data / "keys", "aws", clock=time.time).jwks()),
        "https://sts.us-east-1.amazonaws.com/": answer("", status=302),
    }
    return well


@pytest.fixture
def look(world: World) -> Callable[[Callable[[Patient], Any]], dict[str, list[Finding]]]:
    """Runs one group of checks; the findings by the name of their check."""

    def run(examine: Callable[[Patient], Any]) -> dict[str, list[Finding]]:
        found: dict[str, list[Finding]] = {}
        for finding in examine(world.patient()):
            found.setdefault(finding.check, []).append(finding)
        return found

    return run
