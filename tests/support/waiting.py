"""Waiting for what another process or thread is about to do."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import text

from isthmus.store import Store

T = TypeVar("T")

LOADED = 3.0
"""A deadline ends a test that would wait for ever; it does not measure. A machine with other work on it gets this many times as long."""
STACK = {"Delay": 1, "MaxAttempts": int(60 * LOADED)}
"""How boto3's waiters wait for a stack; what fails ends them at once."""


def until(check: Callable[[], T], seconds: float = 60.0, pause: float = 0.1, what: str = "") -> T:
    """The first true answer of `check`, asked again and again. `seconds` is what an idle machine may need at most; AssertionError with the
    last answer when even a loaded one would have had it."""
    deadline = time.monotonic() + LOADED * seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {LOADED * seconds:g} s: {what or check!r}; last answer {answer!r}"
        time.sleep(pause)
    return answer


def waits_for_a_name(store: Store) -> bool:
    """Whether some transaction of a PostgreSQL database waits for a name that another one holds (`dialect.lock_name`)."""
    asked = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with store.read() as connection:
        return bool(connection.execute(text(asked)).scalar())


async def soon(check: Callable[[], Any], seconds: float = 60.0, pause: float = 0.02, what: str = "") -> Any:
    """`until` on a running loop, which it lets work; `check` may be a coroutine function."""
    deadline = time.monotonic() + LOADED * seconds
    while True:
        answer = check()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {LOADED * seconds:g} s: {what or check!r}; last answer {answer!r}"
        await asyncio.sleep(pause)
