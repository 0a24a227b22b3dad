"""Checkpoints are taken in slices: however many entries wait, nobody who writes waits for more than a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, delete, event, select

from isthmus.access.trail import ingest
from isthmus.arm.errors import ArmError
from isthmus.audit import Checkpoints
from isthmus.audit.events import read_event
from isthmus.audit.merkle import Tree
from isthmus.keys.signer import RsaSigner, make_signer
from isthmus.store import Store
from isthmus.store.tables import audit_checkpoints, trail_events
from tests.access.cloudtrail import ISSUER, Session, called, id_of
from tests.support.clock import Clock

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Ring:
    """One key."""

    key: RsaSigner = field(default_factory=make_signer)

    def signer(self) -> RsaSigner:
        return self.key


@pytest.fixture(scope="module")
def ring() -> Ring:
    return Ring()


class Watched:
    """A store that counts what each of its transactions reads and writes, and that somebody else writes to between any two."""

    def __init__(self, store: Store) -> None:
        self.inner, self.spans, self.other = store, list[tuple[str, int]](), 0
        event.listen(store.engine, "after_cursor_execute", self._note)
        self._statements = 0

    def _note(self, _connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        self._statements += not statement.startswith(("BEGIN", "select pg_advisory"))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self._span("write"), self.inner.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._span("read"), self.inner.read() as connection:
            yield connection
        self.other += 1
        write(self.inner, 10_000 + self.other)

    @contextmanager
    def _span(self, kind: str) -> Iterator[None]:
        before = self._statements
        yield
        self.spans.append((kind, self._statements - before))


def write(store: Store, *numbers: int) -> None:
    with store.begin() as connection:
        ingest(connection, [read_event(called(ALICE, "DescribeVpcs", number)) for number in numbers], ISSUER)


def sizes(store: Store, tree: str = "trail") -> list[int]:
    with store.read() as connection:
        mine = select(audit_checkpoints.c.size).where(audit_checkpoints.c.tree == tree)
        return list(connection.execute(mine.order_by(audit_checkpoints.c.size)).scalars())


def test_the_longest_transaction_is_one_row_and_the_longest_reading_one_slice(store: Store, ring: Ring) -> None:
    write(store, *range(95))
    watched = Watched(store)
    checkpoints = Checkpoints(store=watched, ring=ring, anchor=None, clock=Clock(), at_once=10, most=50)  # type: ignore[arg-type]
    seen: list[int] = []

    def note(_connection: object, cursor: object, statement: str, parameters: object, *_more: object) -> None:
        if "FROM trail_events" in statement and "digest" in statement and "INSERT" not in statement:
            seen.append(list(parameters.values() if isinstance(parameters, dict) else parameters)[-1 - ("OFFSET" in statement)])  # type: ignore[call-overload]

    event.listen(store.engine, "before_cursor_execute", note)
    assert checkpoints.take("trail") == 50
    event.remove(store.engine, "before_cursor_execute", note)
    writes = [number for kind, number in watched.spans if kind == "write"]
    assert writes == [2], "the newest checkpoint is looked at again, and one row is written"
    assert all(number == 1 for kind, number in watched.spans if kind == "read")
    assert watched.other == 6, "five slices and the first look: somebody else wrote between any two"
    assert seen == [10] * 5, "limits of the slices"
    assert sizes(store) == [50]


def test_slices_make_the_same_tree_as_all_at_once(store: Store, ring: Ring) -> None:
    write(store, *range(123))
    checkpoints = Checkpoints(store=store, ring=ring, anchor=None, clock=Clock(), at_once=7, most=40)
    checkpoints.run(NOW)
    assert sizes(store) == [40, 80, 120, 123]
    whole = Tree()
    with store.read() as connection:
        for row in connection.execute(select(trail_events).order_by(trail_events.c.seq)):
            whole.append(f"{row.seq} {row.id} {row.digest}".encode())
        last = connection.execute(select(audit_checkpoints.c.body).where(audit_checkpoints.c.size == 123)).scalar_one()
    assert f'"root":"{whole.root.hex()}"' in last
    checkpoints.run(NOW)
    assert sizes(store) == [40, 80, 120, 123], "nothing grew"


def test_of_two_processes_one_signs(store: Store, ring: Ring) -> None:
    write(store, *range(20))

    class Faster(Ring):
        def signer(self) -> RsaSigner:
            Checkpoints(store=store, ring=ring, anchor=None, clock=Clock()).take("trail")
            return ring.key

    assert Checkpoints(store=store, ring=Faster(ring.key), anchor=None, clock=Clock()).take("trail") == 0
    assert sizes(store) == [20]


def test_nothing_is_signed_over_a_gap(store: Store, ring: Ring) -> None:
    write(store, *range(20))
    with store.begin() as connection:
        connection.execute(delete(trail_events).where(trail_events.c.seq == 13))
    with pytest.raises(ArmError) as caught:
        Checkpoints(store=store, ring=ring, anchor=None, clock=Clock(), at_once=6).take("trail")
    assert (caught.value.code, sizes(store)) == ("LogHasGaps", [])
