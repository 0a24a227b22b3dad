"""The service: when it beats, how it backs off, what it does about renewal and removal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isthmus_agent.command import main
from isthmus_agent.logs import Log
from isthmus_agent.paths import Paths
from isthmus_agent.plane import NetworkError
from isthmus_agent.service import IDLE, Service
from isthmus_agent.store import Store
from tests.agent.fake_plane import CONNECT, VM_ID, DirectCaller, FakePlane, TlsPlane
from tests.agent.test_tokens import enrolled, keys
from tests.support.waiting import LOADED


class Loaded:
    """Dice that always fall to the middle, or to a given share of the range."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.share


class Harness:
    def __init__(self, root: Path, share: float = 0.5) -> None:
        self.now = [1_800_000_000.0]
        self.plane = FakePlane(clock=lambda: self.now[0])
        self.store = enrolled(root, self.plane)
        self.broken = False
        self.service = Service(
            self.store,
            lambda ca: DirectCaller(self.plane, self._before),
            Log(root / "log"),
            clock=self.plane.clock,
            dice=Loaded(share),
        )

    def _before(self, path: str) -> None:
        if self.broken:
            raise NetworkError("unreachable")

    @property
    def beats(self) -> int:
        return self.plane.machines[VM_ID].heartbeats

    def pass_time(self, seconds: float) -> float:
        self.now[0] += seconds
        return self.service.beat()


def test_idles_without_an_identity(tmp_path: Path) -> None:
    store = Store(Paths(root=tmp_path))
    store.prepare()
    service = Service(store, lambda ca: DirectCaller(FakePlane()), Log(tmp_path / "log"), clock=time.time)
    assert service.beat() == IDLE


def test_beats_at_once_and_then_as_told(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.plane.next_seconds = 20
    assert harness.service.beat() == 20
    assert harness.beats == 1
    assert harness.pass_time(19) == 1
    assert harness.beats == 1
    harness.pass_time(1)
    assert harness.beats == 2
    status = json.loads(harness.store.paths.status.read_text())
    assert set(status) == {"lastHeartbeat"}


def test_the_interval_is_varied_and_nonsense_is_ignored(tmp_path: Path) -> None:
    harness = Harness(tmp_path, share=1.0)
    harness.plane.next_seconds = 20
    assert harness.service.beat() == 22
    harness.plane.next_seconds = "soon"
    harness.pass_time(22)
    harness.pass_time(329)
    assert harness.beats == 2
    harness.pass_time(1.1)
    assert harness.beats == 3


def test_backs_off_and_recovers(tmp_path: Path) -> None:
    harness = Harness(tmp_path, share=1.0)
    harness.broken = True
    pauses = [harness.service.beat()]
    for _ in range(11):
        pauses.append(harness.pass_time(pauses[-1]))
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == 300
    assert "errorDetails" in harness.store.paths.status.read_text()
    harness.broken = False
    harness.pass_time(300)
    assert harness.beats == 1
    assert "errorDetails" not in harness.store.paths.status.read_text()


def test_renews_when_asked(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.plane.wants_renewal = True
    harness.service.beat()
    connection = harness.store.connection()
    assert connection
    key = harness.store.key(connection.identity_key)
    assert key.public == harness.plane.machines[VM_ID].public != keys()[0].public
    harness.plane.wants_renewal = False
    harness.pass_time(300)
    assert harness.beats == 2


def test_a_renewal_that_comes_too_early_is_put_off(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    before = harness.store.connection()
    harness.plane.wants_renewal = True
    harness.plane.refuse = {"renew": [(409, "RenewalNotDue")]}
    assert harness.service.beat() == IDLE
    assert harness.store.connection() == before
    assert [path.name for path in harness.store.paths.certs.glob("identity-*")] == [before.identity_key if before else ""]
    assert "errorDetails" not in harness.store.paths.status.read_text()
    harness.plane.wants_renewal = False
    harness.pass_time(300)
    assert [path for path, _ in harness.plane.requests].count("/agent/v1/renew") == 1
    harness.plane.wants_renewal = True
    harness.pass_time(300)
    after = harness.store.connection()
    assert after
    assert harness.store.key(after.identity_key).public == harness.plane.machines[VM_ID].public != keys()[0].public


def test_removed_machine_clears_its_identity_and_idles(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    harness.service.beat()
    harness.plane.gone = True
    assert harness.pass_time(300) == IDLE
    assert harness.store.connection() is None
    assert list(harness.store.paths.certs.iterdir()) == []
    assert harness.pass_time(300) == IDLE


def test_other_refusals_never_clear_it(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    for status in (400, 401, 403, 404, 429, 500, 503):
        harness.plane.refuse = {"heartbeat": [(status, "No")]}
        assert harness.pass_time(400) < IDLE * 5
        assert harness.store.connection()


@pytest.mark.e2e
def test_real_process_beats_after_connect_and_stops_on_sigterm(environ: dict[str, str], tls: TlsPlane, root: Path) -> None:
    command = [sys.executable, "-m", "isthmus_agent"]
    service = subprocess.Popen([*command, "service", "run"], env=environ)
    try:
        public = subprocess.run([*command, "genkey"], env=environ, capture_output=True, text=True, check=True).stdout.strip()
        machine = tls.plane.register(public)
        _until(lambda: (root / "var/opt/azcmagent/socks/himds.sock").exists())
        subprocess.run([*command, *CONNECT], env=environ, check=True, capture_output=True)
        _until(lambda: machine.heartbeats == 1)
        _until(lambda: "lastHeartbeat" in (root / "var/opt/azcmagent/socks/status.json").read_text())
        shown = subprocess.run([*command, "show", "-j"], env=environ, capture_output=True, text=True, check=True).stdout
        assert json.loads(shown)["status"] == "Connected"
        assert main(["show"], environ) == 0
        service.send_signal(signal.SIGTERM)
        assert service.wait(5 * LOADED) == 0
    finally:
        service.kill()
        service.wait()


def _until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + LOADED * seconds
    while True:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)
