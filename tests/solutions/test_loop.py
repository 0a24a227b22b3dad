"""Batches from the scanner loop: everything in order, errors too, and nothing left behind by a reader that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from isthmus.arm.errors import ArmError
from isthmus.solutions.loop import Loop


class Source:
    """Numbers from zero on; knows whether it was closed."""

    def __init__(self, count: int, *, fails: bool = False) -> None:
        self.count = count
        self.fails = fails
        self.closed = False

    async def numbers(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                yield number
            if self.fails:
                raise ConnectionResetError("the cloud went away")
        finally:
            await asyncio.sleep(0)
            self.closed = True


async def _others() -> int:
    return len(asyncio.all_tasks()) - 1


def test_everything_comes_in_order(loop: Loop) -> None:
    source = Source(25)
    found = list(loop.batches(source.numbers(), limit=10, ahead=3, linger=0.01))
    assert [number for batch in found for number in batch] == list(range(25))
    assert max(map(len, found)) <= 10
    assert source.closed


def test_an_error_comes_after_what_was_read(loop: Loop) -> None:
    source, found = Source(5, fails=True), []

    def read() -> None:
        for batch in loop.batches(source.numbers(), limit=2, ahead=1, linger=0.01):
            found.extend(batch)

    with pytest.raises(ConnectionResetError):
        read()
    assert found == list(range(5))
    assert loop.run(_others()) == 0


def test_leaving_early_closes_the_source_and_leaves_no_task(loop: Loop) -> None:
    source = Source(100_000)
    with closing(loop.batches(source.numbers(), limit=10, ahead=10, linger=0.01)) as batches:
        assert next(batches) == list(range(10))
    assert source.closed
    assert loop.run(_others()) == 0


def test_who_asks_after_the_end_is_told() -> None:
    loop = Loop()
    loop.close()
    with pytest.raises(ArmError, match="stopping") as refused:
        loop.run(asyncio.sleep(0))
    assert refused.value.status == 503


def test_who_waits_for_what_a_stopped_loop_never_begins_is_told() -> None:
    """A thread that asks between the loop's last turn and its end."""
    loop = Loop()
    loop._loop.call_soon_threadsafe(loop._loop.stop)
    loop._thread.join(30)
    with pytest.raises(ArmError, match="stopping"):
        loop.run(asyncio.sleep(0))
    loop._loop.run_until_complete(asyncio.sleep(0))
    loop._loop.close()


def test_a_loop_ends_though_something_on_it_does_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> None:
        raise RuntimeError("stubborn")

    loop = Loop()
    monkeypatch.setattr("isthmus.solutions.loop._cancel_all", fails)
    with pytest.raises(RuntimeError, match="stubborn"):
        loop.close()
    assert not loop._thread.is_alive()


def test_an_error_of_the_work_is_its_own_whatever_it_is(loop: Loop) -> None:
    async def late() -> None:
        raise TimeoutError("too late")

    with pytest.raises(TimeoutError, match="too late"):
        loop.run(late())
