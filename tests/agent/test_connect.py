"""Connecting breaks off at every possible point, is repeated, and ends in the same connection with the same single key."""

from __future__ import annotations

import contextlib
from pathlib import Path

from isthmus_agent.connect import ATTEMPTS, Destination, Wanted, connect
from isthmus_agent.paths import Paths
from isthmus_agent.plane import NetworkError
from isthmus_agent.store import Connection, Store
from tests.agent.fake_plane import RESOURCE_ID, SUBSCRIPTION, TENANT, VM_ID, DirectCaller, FakePlane
from tests.agent.test_tokens import Crash, FragileStore, Fuse, keys

WANTED = Wanted(
    subscription_id=SUBSCRIPTION,
    resource_group="aws_1",
    resource_name="i-0abc",
    location="eastus",
    tenant_id=TENANT,
    vm_id=VM_ID,
    cloud="AzureCloud",
    correlation_id="",
)


def attempt(root: Path, plane: FakePlane, fuse: Fuse) -> Connection:
    def die(_path: str) -> None:
        fuse.step(Crash())

    destination = Destination(endpoint=plane.endpoint, ca="", generation="1")
    return connect(
        FragileStore(Paths(root=root), fuse), WANTED, destination, DirectCaller(plane, die, die), clock=plane.clock, sleep=_no_sleep
    )


def _no_sleep(_seconds: float) -> None:
    return


def test_a_crash_at_any_point_is_repaired_by_repeating(tmp_path: Path) -> None:
    points = 0
    while True:
        root, plane = tmp_path / str(points), FakePlane()
        store = Store(Paths(root=root))
        store.prepare()
        store.save_saved_key(keys()[0], "1")
        plane.register(keys()[0].public)
        try:
            attempt(root, plane, Fuse(points))
        except Crash:
            again = attempt(root, plane, Fuse(None))
            assert again.resource_id == RESOURCE_ID
            assert store.connection() == again
            assert [path.name for path in store.paths.certs.iterdir()] == [again.identity_key]
            assert store.key(again.identity_key).public == keys()[0].public
            points += 1
            continue
        break
    assert points >= 10  # before and after: key file, challenge, enrol, configuration, sweep


def test_the_network_is_tried_a_few_times_with_growing_pauses(tmp_path: Path) -> None:
    plane = FakePlane()
    pauses: list[float] = []
    tries: list[str] = []
    store = Store(Paths(root=tmp_path))
    store.prepare()
    store.save_saved_key(keys()[0], "1")
    plane.register(keys()[0].public)

    def lost(path: str) -> None:
        tries.append(path)
        raise NetworkError("lost")

    destination = Destination(endpoint=plane.endpoint, ca="", generation="1")
    with contextlib.suppress(NetworkError):
        connect(store, WANTED, destination, DirectCaller(plane, lost), clock=plane.clock, sleep=pauses.append)
    assert len(tries) == ATTEMPTS
    assert pauses == sorted(pauses)
    assert store.saved_key(), "the key is kept for the next attempt"
    assert store.connection() is None
