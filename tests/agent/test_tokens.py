"""Renewal in two phases: whatever breaks off, one of the keys on disk is accepted, and the renewal can be finished."""

from __future__ import annotations

import contextlib
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus_agent.keys import Key
from isthmus_agent.paths import Paths
from isthmus_agent.plane import NetworkError
from isthmus_agent.store import Connection, Store
from isthmus_agent.tokens import Refused, Tokens
from tests.agent.fake_plane import RESOURCE_ID, SUBSCRIPTION, TENANT, VM_ID, DirectCaller, FakePlane
from tests.support.examples import examples

keys = cache(lambda: [Key.generate() for _ in range(6)])


class Crash(BaseException):
    """The process died."""


class Fuse:
    """Dies at the n-th step. Steps lie before and after every effect on the disk or on the control plane."""

    def __init__(self, left: int | None, *, network_only: bool = False) -> None:
        self.left = left
        self.network_only = network_only

    def step(self, error: BaseException) -> None:
        if self.left is not None and not (self.network_only and isinstance(error, Crash)):
            self.left -= 1
            if self.left < 0:
                raise error


class FragileStore(Store):
    def __init__(self, paths: Paths, fuse: Fuse) -> None:
        super().__init__(paths)
        self.fuse = fuse

    def _write(self, name: str, content: bytes) -> None:
        self.fuse.step(Crash())
        super()._write(name, content)
        self.fuse.step(Crash())

    def sweep(self) -> None:
        self.fuse.step(Crash())
        super().sweep()
        self.fuse.step(Crash())


def connection(plane: FakePlane, key_name: str) -> Connection:
    return Connection(
        subscription_id=SUBSCRIPTION,
        resource_group="aws_1",
        resource_name="i-0abc",
        resource_id=RESOURCE_ID,
        tenant_id=TENANT,
        location="eastus",
        vm_id=VM_ID,
        cloud="AzureCloud",
        correlation_id="",
        endpoint=plane.endpoint,
        ca="",
        client_id=plane.machines[VM_ID].client_id,
        principal_id="p",
        token_endpoint=f"{plane.endpoint}/{TENANT}/oauth2/v2.0/token",
        heartbeat_seconds=300,
        registration_expires_at="2099-01-01T00:00:00Z",
        generation="1",
        identity_key=key_name,
    )


def enrolled(root: Path, plane: FakePlane) -> Store:
    store = Store(Paths(root=root))
    store.prepare()
    plane.register(keys()[0].public)
    store.save(connection(plane, store.save_key(keys()[0])))
    return store


def accepted_keys(root: Path, plane: FakePlane) -> list[str]:
    """Keys on disk, named by the configuration, that the control plane accepts."""
    store = Store(Paths(root=root))
    known = store.connection()
    assert known
    return [name for name in (known.identity_key, known.next_key) if name and plane.accepts(store.key(name).public)]


def attempt(root: Path, plane: FakePlane, fuse: Fuse) -> Connection:
    """What the service does at a heartbeat that asks for a renewal, in a process of its own."""
    store = FragileStore(Paths(root=root), fuse)
    caller = DirectCaller(plane, lambda path: fuse.step(NetworkError("lost")), lambda path: fuse.step(NetworkError("lost")))
    tokens = Tokens(store, caller, clock=plane.clock)
    present = store.connection()
    assert present
    return tokens.renew(tokens.settled(present))


@settings(max_examples=examples(40), deadline=None)
@given(breaks=st.lists(st.integers(min_value=0, max_value=18), max_size=4), more=st.booleans())
def test_a_crash_at_any_point_never_locks_the_machine_out(breaks: list[int], more: bool) -> None:
    supply = iter(keys()[1:] * 3)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(Key, "generate", lambda: next(supply))
        root, plane = Path(folder), FakePlane()
        enrolled(root, plane)
        for left in breaks:
            with contextlib.suppress(Crash, NetworkError):
                attempt(root, plane, Fuse(left))
            assert accepted_keys(root, plane), "no key on disk is accepted"
        before = Store(Paths(root=root)).connection()
        after = attempt(root, plane, Fuse(None))
        assert before
        assert after.next_key == ""
        assert after.identity_key != before.identity_key
        store = Store(Paths(root=root))
        assert store.connection() == after
        assert plane.machines[VM_ID].public == store.key(after.identity_key).public
        assert [path.name for path in store.paths.certs.glob("identity-*")] == [after.identity_key]


def test_every_single_crash_point_is_covered(tmp_path: Path) -> None:
    points = 0
    while True:
        root, plane = tmp_path / str(points), FakePlane()
        enrolled(root, plane)
        fuse = Fuse(points)
        try:
            attempt(root, plane, fuse)
        except (Crash, NetworkError):
            assert accepted_keys(root, plane)
            points += 1
            continue
        break
    assert points >= 14  # before and after: token, key file, configuration, renew, token, configuration, sweep


def test_a_refused_key_without_a_next_one_is_told(tmp_path: Path) -> None:
    plane = FakePlane()
    store = enrolled(tmp_path, plane)
    plane.machines[VM_ID].public = keys()[5].public
    present = store.connection()
    assert present
    with pytest.raises(Refused):
        Tokens(store, DirectCaller(plane), clock=plane.clock).settled(present)


def test_a_token_is_kept_until_shortly_before_its_end(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    plane = FakePlane(clock=lambda: now[0])
    store = enrolled(tmp_path, plane)
    present = store.connection()
    assert present
    tokens = Tokens(store, DirectCaller(plane), clock=plane.clock)
    first = tokens.token(present)
    now[0] += 3500
    assert tokens.token(present) == first
    now[0] += 60
    assert tokens.token(present) != first
