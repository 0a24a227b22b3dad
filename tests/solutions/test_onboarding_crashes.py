"""The process dies at any point: the end is the same, no key and no machine is doubled, no command is sent twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select

from isthmus.solutions.loop import Loop
from isthmus.store import Store
from isthmus.store.tables import registrations
from tests.machines.plane import Keys
from tests.solutions.onboarding_estate import Crash, Estate, World
from tests.support.clock import Clock


class Points:
    """Counts the places where a process can die, and dies at the chosen ones."""

    def __init__(self, deaths: set[int]) -> None:
        self.deaths = deaths
        self.passed = 0

    def __call__(self, _name: str) -> None:
        self.passed += 1
        if self.passed in self.deaths:
            raise Crash


class MortalStore(Store):
    """A store under which the process may die before and after every commit."""

    def __init__(self, inner: Store, points: Points) -> None:
        vars(self).update(vars(inner))
        self._points = points

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with super().begin() as connection:
            yield connection
            self._points("before commit")
        self._points("after commit")


def live(store: Store, clock: Clock, keys: Keys, loop: Loop, account: str, deaths: set[int]) -> tuple[World, Points]:
    """Onboard three machines, starting a fresh process after each death; jobs that died are run again, as the engine does."""
    estate = Estate(clock, keys)
    world = World(store, clock, estate, loop, account=account)
    hosts = [estate.host(number) for number in range(3)]
    for host in hosts:
        host.keys["1"] = keys[host.number]
    points = Points(deaths)
    mortal = MortalStore(store, points)
    estate.at_point = points
    world.app = world.start(mortal)
    unfinished: list[tuple[str, dict[str, object]]] = [("onboarding.sync", {"solution": str(world.solution), "scan": "s:1"})]
    for _ in range(200):
        if not unfinished:
            due = world.line.due()
            if due is None:
                break
            clock.now = max(clock.now, due)
            job, arguments = world.line.pop()
            unfinished.append((job, dict(arguments)))
        job, arguments = unfinished[0]
        estate.pump()
        try:
            {entry.name: entry for entry in world.app.jobs()}[job].run(arguments)
        except Crash:
            world.app = world.start(mortal)
            clock.advance(0.7)
            continue
        unfinished.pop(0)
    return world, points


def check(world: World, keys: Keys) -> None:
    items = world.items()
    assert [item["state"] for item in items.values()] == ["CONNECTED"] * 3
    assert {item["generation"] for item in items.values()} == {1}
    comments = [command.comment for command in world.estate.commands.values()]
    assert len(comments) == len(set(comments)) == 2
    with world.store.read() as connection:
        mine = registrations.c.resource.like(f"%aws_{world.account}%")
        found = connection.execute(select(registrations.c.public_key, registrations.c.state).where(mine)).all()
    assert sorted(found) == sorted((keys[number].public, "enrolled") for number in range(3))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.mark.slow
def test_a_death_anywhere_changes_nothing_of_the_end(store: Store, clock: Clock, keys: Keys, loop: Loop) -> None:
    accounts = (f"{number:012d}" for number in itertools.count(200_000_000_000))
    world, points = live(store, clock, keys, loop, next(accounts), set())
    check(world, keys)
    total = points.passed
    assert total >= 20
    forget_registrations(store)
    for point in range(1, total + 1):
        world, _ = live(store, clock, keys, loop, next(accounts), {point})
        check(world, keys)
        forget_registrations(store)


def test_two_deaths_in_one_life(store: Store, clock: Clock, keys: Keys, loop: Loop) -> None:
    accounts = (f"{number:012d}" for number in itertools.count(300_000_000_000))
    for first in range(3, 30, 4):
        world, _ = live(store, clock, keys, loop, next(accounts), {first, first + 3})
        check(world, keys)
        forget_registrations(store)


def forget_registrations(store: Store) -> None:
    """The next life uses the same keys for other machines."""
    with store.begin() as connection:
        connection.execute(registrations.delete())
