"""Credentials are fetched once, ahead of their end, and never after a refusal."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.cache import LOOK, Cache, Credentials
from tests.support.clock import Clock
from tests.support.waiting import until


def credentials(clock: Clock, number: int, seconds: float = 300) -> Credentials:
    end = datetime.fromtimestamp(clock() + seconds, UTC).isoformat().replace("+00:00", "Z")
    return Credentials.of({"accessKeyId": f"ASIA{number}", "secretAccessKey": "s", "sessionToken": "t", "expiration": end})


class Server:
    """Counts what it was asked for; refuses when told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.asked, self.refuses = clock, 0, False
        self.gate = threading.Event()
        self.gate.set()
        self.done = threading.Event()

    def __call__(self, role: str) -> Credentials:
        self.gate.wait(5)
        self.asked += 1
        self.done.set()
        if self.refuses:
            raise ArmError("NotAMember", "Not in the group any more.", status=403)
        return credentials(self.clock, self.asked)


def test_many_who_ask_at_once_are_one_fetch(clock: Clock) -> None:
    server = Server(clock)
    cache = Cache(server, clock)
    server.gate.clear()
    with ThreadPoolExecutor(16) as pool:
        found = [pool.submit(cache.get, "1.Reader") for _ in range(16)]
        server.gate.set()
        keys = {one.result().access_key for one in found}
    assert keys == {"ASIA1"}
    assert cache.get("1.Reader").access_key == "ASIA1"
    assert cache.get("2.Reader").access_key == "ASIA2", "each role has its own"


def test_the_next_lease_is_fetched_while_the_present_one_answers(clock: Clock) -> None:
    server = Server(clock)
    cache = Cache(server, clock)
    cache.get("r")
    clock.advance(235)
    assert cache.get("r").access_key == "ASIA1"
    assert server.asked == 1
    clock.advance(10)
    server.done.clear()
    server.gate.clear()
    assert cache.get("r").access_key == "ASIA1", "nobody waits for the renewal"
    assert cache.get("r").access_key == "ASIA1", "nor is it asked for twice"
    server.gate.set()
    assert server.done.wait(5)
    clock.advance(50)
    assert cache.get("r").access_key == "ASIA2"
    assert server.asked == 2


def test_what_is_about_to_end_is_not_handed_out(clock: Clock) -> None:
    server = Server(clock)
    cache = Cache(server, clock)
    cache.get("r")
    clock.advance(291)
    assert cache.get("r").access_key == "ASIA2"


def test_a_refusal_is_told_and_ends_what_was_held(clock: Clock) -> None:
    server = Server(clock)
    cache = Cache(server, clock)
    cache.get("r")
    clock.advance(295)
    server.refuses = True
    for _ in range(2):
        with pytest.raises(ArmError, match="NotAMember"):
            cache.get("r")
    assert server.asked == 3


def test_credentials_are_not_shown(clock: Clock) -> None:
    made = Credentials.of({"accessKeyId": "A", "secretAccessKey": "hush", "sessionToken": "quiet", "expiration": "2026-01-01T00:05:00Z"})
    assert "hush" not in repr(made)
    assert "quiet" not in repr(made)
    assert made.until == clock() + 300


def test_a_session_that_was_ended_is_replaced_within_seconds(clock: Clock) -> None:
    server, ended, looks = Server(clock), set[str](), threading.Event()

    def is_live(held: Credentials) -> bool:
        looks.set()
        return held.access_key not in ended

    cache = Cache(server, clock, is_live=is_live)
    assert cache.get("r").access_key == "ASIA1"
    ended.add("ASIA1")
    clock.advance(LOOK - 1)
    assert cache.get("r").access_key == "ASIA1"
    assert not looks.is_set(), "not at each call"
    clock.advance(1)
    assert cache.get("r").access_key == "ASIA1", "nobody waits for the look"
    until(lambda: cache.get("r").access_key == "ASIA2")
    assert server.asked == 2


def test_another_sign_in_gets_nothing_of_the_one_before(clock: Clock) -> None:
    server, began = Server(clock), [1.0]
    cache = Cache(server, clock, sign_in=lambda: began[0])
    assert [cache.get("r").access_key, cache.get("r").access_key] == ["ASIA1", "ASIA1"]
    began[0], server.refuses = 0.0, True
    with pytest.raises(ArmError, match="NotAMember"):
        cache.get("r")
    server.refuses = False
    assert cache.get("r").access_key == "ASIA3"
    server.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(cache.get, "other")
        until(lambda: "other" in cache._flights)
        began[0] = 2.0
        after = pool.submit(cache.get, "other")
        until(lambda: cache._by == 2.0)
        server.gate.set()
        assert {before.result().access_key, after.result().access_key} == {"ASIA4", "ASIA5"}
    assert cache.get("other").access_key == after.result().access_key, "what was under way by the earlier one is not held"


@pytest.mark.parametrize(("status", "asked"), [(401, 2), (403, 2), (404, 2), (503, 1)])
def test_a_server_that_does_not_answer_ends_nothing_and_one_that_refuses_does(clock: Clock, status: int, asked: int) -> None:
    server, looked = Server(clock), threading.Event()

    def is_live(_held: Credentials) -> bool:
        looked.set()
        raise ArmError("Any", "Whatever.", status=status)

    cache = Cache(server, clock, is_live=is_live)
    cache.get("r")
    clock.advance(LOOK)
    cache.get("r")
    assert looked.wait(10)
    until(lambda: not any(one.name == "isthmus-look" for one in threading.enumerate()))
    cache.get("r")
    assert server.asked == asked
