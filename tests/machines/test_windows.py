"""Windows are used once, by one caller, in time."""

from __future__ import annotations

import threading

import pytest

from isthmus.machines import windows
from isthmus.store import Store

NOW = 1_000_000


def open_one(store: Store, *, generation: int = 1, id: str = "w1", now: int = NOW) -> windows.Window:
    with store.begin() as connection:
        return windows.open_window(connection, "i-1", generation, id=id, now=now)


def consume(store: Store, id: str, now: int = NOW) -> bool:
    with store.begin() as connection:
        return windows.consume(connection, id, now)


def test_opening_again_finds_the_open_window(store: Store) -> None:
    assert open_one(store) == open_one(store, id="w2")


def test_a_generation_has_one_window(store: Store) -> None:
    window = open_one(store)
    assert consume(store, window.id)
    with pytest.raises(ValueError, match="Generation 1"):
        open_one(store, id="w2")
    assert open_one(store, generation=2, id="w2").vm_id != window.vm_id


def test_a_window_is_used_once_and_in_time(store: Store) -> None:
    first, second = open_one(store), open_one(store, generation=2, id="w2")
    assert [consume(store, first.id), consume(store, first.id)] == [True, False]
    assert not consume(store, second.id, second.expires_at)
    assert not consume(store, "unknown")


def test_of_concurrent_uses_one_succeeds(store: Store) -> None:
    window = open_one(store)
    barrier = threading.Barrier(6)
    outcomes: list[bool] = []

    def use() -> None:
        barrier.wait()
        outcomes.append(consume(store, window.id))

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True]


def test_expired_windows_close_and_old_ones_are_forgotten_but_for_the_latest(store: Store) -> None:
    first = open_one(store)
    with store.begin() as connection:
        assert windows.expire(connection, first.expires_at - 1) == []
        assert windows.expire(connection, first.expires_at) == [first.id]
        assert windows.expire(connection, first.expires_at) == []
    second = open_one(store, generation=2, id="w2", now=first.expires_at)
    with store.begin() as connection:
        windows.expire(connection, second.expires_at)
        windows.delete_old(connection, second.expires_at + 1)
        assert windows.generations(connection, ["i-1", "i-2"]) == {"i-1": 2}
