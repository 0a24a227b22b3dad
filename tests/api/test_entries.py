"""People come in while others take their access away: each waits for the other."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from isthmus.access.leaving import offboard
from isthmus.access.revocations import is_revoked
from isthmus.api.entries import ProviderEntry
from isthmus.arm.errors import ArmError
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity import evidence
from isthmus.identity.openid import OpenId, Vouched
from isthmus.identity.people import Person
from isthmus.store import Store
from isthmus.store.dialect import is_sqlite
from tests.access.estate import ADMIN
from tests.fakes.jobs import RecordedJobs
from tests.support.waiting import until, waits_for_a_name

ALICE = Person(object_id=str(uuid.UUID(int=1)), name="Alice", issuer="https://idp.test", subject="alice")


class Provider:
    """A provider that vouches for Alice, each time anew."""

    def finish(self, _cookie: str, _query: Any) -> Vouched:
        claims = {"iss": ALICE.issuer, "sub": ALICE.subject}
        return Vouched(person=ALICE, claims=claims, return_to="/", once=uuid.uuid4().hex, until=int(time.time() * 1000) + 900_000)


def engine_of(store: Store, new_guid: Callable[[], str] = lambda: str(uuid.uuid4())) -> Engine:
    return Engine(store, RecordedJobs(), clock=time.time, new_guid=new_guid)


def entry(engine: Engine, identifier: Callable[[], str]) -> ProviderEntry:
    provider = cast(OpenId, SimpleNamespace(finish=Provider().finish))
    refusals = Refusals(engine.store, engine.clock)
    return ProviderEntry(engine=engine, refusals=refusals, openid=provider, seconds=3600, identifier=identifier)


def take_away(engine: Engine) -> None:
    with engine.store.begin() as connection:
        offboard(connection, engine, ALICE.object_id, ADMIN, "left")


class Meanwhile:
    """Begins something in another thread once, and goes on when that is done or waits for us."""

    def __init__(self, store: Store, act: Callable[[], object]) -> None:
        self._store = store
        self._thread = threading.Thread(target=act)

    def __call__(self) -> str:
        if self._thread.ident is None:
            self._thread.start()
            if not is_sqlite(self._store.engine):
                until(lambda: not self._thread.is_alive() or waits_for_a_name(self._store), what="the other one is done or waits")
        return str(uuid.uuid4())

    def end(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def living(engine: Engine) -> tuple[bool, bool]:
    """Whether Alice is out, and whether a sign-in of hers lives."""
    with engine.store.read() as connection:
        return is_revoked(connection, ALICE.object_id), evidence.latest(connection, ALICE.object_id, engine.now()) is not None


def test_who_is_offboarded_while_they_sign_in_is_signed_out(store: Store) -> None:
    engine = engine_of(store)
    meanwhile = Meanwhile(store, lambda: take_away(engine))
    entry(engine, meanwhile).finish("cookie", {})
    meanwhile.end()
    assert living(engine) == (True, False)


def test_who_signs_in_while_they_are_offboarded_is_refused(store: Store) -> None:
    found: list[str] = []

    def come() -> None:
        try:
            entry(engine_of(store), lambda: str(uuid.uuid4())).finish("cookie", {})
        except ArmError as error:
            found.append(error.code)

    meanwhile = Meanwhile(store, come)
    engine = engine_of(store, meanwhile)
    take_away(engine)
    meanwhile.end()
    assert (found, living(engine)) == (["AccessRevoked"], (True, False))
