"""A machine's root and a control plane over TLS for the agent's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus_agent.paths import Paths
from isthmus_agent.store import Store
from tests.agent.fake_plane import TlsPlane


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/hostname").write_text("ip-10-0-0-7.eu-west-1.compute.internal\n")
    (folder / "etc/os-release").write_text('NAME="Amazon Linux"\nVERSION_ID="2023"\nPRETTY_NAME="Amazon Linux 2023"\n')
    return folder


@pytest.fixture
def store(root: Path) -> Store:
    made = Store(Paths(root=root))
    made.prepare()
    return made


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsPlane]:
    plane = TlsPlane(tmp_path)
    yield plane
    plane.stop()


@pytest.fixture
def environ(root: Path, tls: TlsPlane) -> dict[str, str]:
    return {"ISTHMUS_AGENT_ROOT": str(root), **tls.environ}
