"""The scanner loop: one asyncio loop in a thread of its own. Jobs are synchronous; they submit to it and take what it yields."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from concurrent.futures import wait
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

from isthmus.arm.errors import ArmError, unavailable

T = TypeVar("T")
_END = object()
_LOOK = 1.0
"""Seconds between two looks at whether there is still a loop to wait for."""
LINGER = 0.25
"""Seconds: a transaction costs the same for one entry as for hundreds, and nobody waits for a single one."""


class Loop:
    """Start it once per process; `close` stops it and cancels what still runs."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._closing = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="scanner", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result or error. ArmError 503 when the loop has ended before it."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise _ended() from error
        while not wait((future,), timeout=_LOOK).done:
            if not self._thread.is_alive() and not future.done():
                raise _ended()
        return future.result()

    def batches(self, source: AsyncIterator[T], *, limit: int = 1000, ahead: int = 4000, linger: float = LINGER) -> Iterator[list[T]]:
        """What `source` yields, in lists of up to `limit` gathered for `linger` seconds; it waits while `ahead` entries lie unread.

        Leaving the iterator early closes the source before it returns.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=ahead)
        producer = self.run(_start(_pour(source, queue)))
        try:
            while True:
                found = self.run(_take(queue, limit, linger))
                ended = found[-1] is _END
                if ended:
                    found.pop()
                if found:
                    yield found
                if ended:
                    self.run(_result(producer))
                    return
        finally:
            if not self._closing:
                self.run(_stop(producer))

    def close(self) -> None:
        """Cancel everything, end the thread and give back what the loop holds open."""
        self._closing = True
        try:
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout=10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
            if not self._thread.is_alive():
                self._loop.close()


def _ended() -> ArmError:
    return unavailable("The server is stopping. Try again when it has started.")


async def _pour(source: AsyncIterator[Any], queue: asyncio.Queue[Any]) -> None:
    """All of `source`, then the end. A generator is closed whatever happens: what it holds open must not wait for the garbage collector."""
    try:
        try:
            async for entry in source:
                await queue.put(entry)
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
    except asyncio.CancelledError:
        # Nobody reads on: a full queue gives way, so that a reader that still waits learns of the end.
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(_END)
        raise
    except BaseException:
        await queue.put(_END)
        raise
    await queue.put(_END)


async def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def _result(task: asyncio.Task[None]) -> None:
    await task


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _take(queue: asyncio.Queue[Any], limit: int, linger: float) -> list[Any]:
    found = [await queue.get()]
    with suppress(TimeoutError):
        async with asyncio.timeout(linger):
            while len(found) < limit and found[-1] is not _END:
                found.append(queue.get_nowait() if not queue.empty() else await queue.get())
    return found


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
