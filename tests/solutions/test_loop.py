"""Batches from the scanner loop: everything in order, errors too, and nothing left behind by a reader that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

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
