"""Rotations of the keys that AWS trusts: nothing switches that AWS does not know, and every step says what was seen."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import group_id, subscription_id
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.identity.issuer import Issuer, aws_issuer, record_keys
from isthmus.identity.jws import parse
from isthmus.identity.publication import Publication
from isthmus.keys import KeyRing
from isthmus.solutions.loop import Loop
from isthmus.solutions.rotation import Rotation, plan
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.store import Store
from isthmus.store.tables import audit_records, signing_keys
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

URL = "https://issuer.isthmus.test"
DAY = 86_400.0
OWNER = Actor(id="owner", kind="User", name="Olga")
GROUP = group_id("00000000-0000-4000-8000-000000000000", "rg")


@dataclass
class Sts:
    """Accounts as they take tokens: by the kids that each knows. An account that is `away` does not answer."""

    knows: dict[str, set[str]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    then: Callable[[], None] | None = None

    def claims(self, target: ScanTarget) -> dict[str, str]:
        return {"aud": f"isthmus:aws:{target.account}", "sub": "svc:x"}

    async def try_token(self, target: ScanTarget, token: str) -> None:
        parsed = parse(token)
        assert parsed.claims["aud"] == f"isthmus:aws:{target.account}"
        kid = str(parsed.header["kid"])
        self.asked.append((target.account, kid))
        if self.then is not None:
            self.then()
        if target.account in self.away:
            raise ConnectionError("no answer")
        if kid not in self.knows[target.account]:
            raise PermissionError("InvalidIdentityToken: no such key")


@dataclass
class World:
    """An issuer, where its documents stand, and accounts."""

    rotation: Rotation
    issuer: Issuer
    sts: Sts
    published: dict[str, Any]
    store: Store

    def publish(self) -> None:
        """As `isthmus issuer export` and a web host would."""
        self.published[f"{URL}/.well-known/openid-configuration"] = self.issuer.discovery()
        self.published[f"{URL}/.well-known/jwks.json"] = self.issuer.jwks()
        for known in self.sts.knows.values():
            known |= {one.kid for one in self.issuer.ring.records()}

    def kid(self, state: str) -> str:
        return next(one.kid for one in self.issuer.ring.records() if one.state == state)

    def rotate(self, **changes: Any) -> Any:
        return self.rotation.rotate(OWNER, **{"expected": self.kid("next"), "shortens": False, **changes})

    def records(self) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(audit_records).where(audit_records.c.action == "Isthmus.Identity/issuers/rotate")))


@pytest.fixture(scope="session")
def made_ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rings") / "keys"
    KeyRing(folder, "aws", clock=Clock())
    return folder


@pytest.fixture
def world(store: Store, clock: Clock, tmp_path: Path, made_ring: Path) -> Iterator[World]:
    shutil.copytree(made_ring, tmp_path / "keys")
    engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: "g")
    puts: list[Resource] = [Resource(id=subscription_id(GROUP.subscription)), Resource(id=GROUP, location="eastus")]
    for number in range(2):
        connector = GROUP.extension(CONNECTORS, f"c{number}")
        properties = {"awsCloudProfile": {"accountId": f"{number}" * 12}, "connectorPrimaryIdentifier": "aa5f1c9e"}
        puts.append(Resource(id=connector, location="eastus", properties=properties))
        for name in ("inventory", "second"):
            solution = {"solutionType": "Microsoft.AssetManagement", "solutionSettings": {}}
            puts.append(Resource(id=connector.extension(CONFIGURATIONS, name), properties=solution))
    engine.apply(Change(puts=tuple(puts)), OWNER, "setup", "/")
    published: dict[str, Any] = {}

    def fetch(url: str) -> bytes:
        if url not in published:
            raise OSError("answered 404")
        return json.dumps(published[url]).encode()

    issuer, sts, loop = aws_issuer(URL, KeyRing(tmp_path / "keys", "aws", clock=clock), clock), Sts(), Loop()
    sts.knows = {"0" * 12: set(), "1" * 12: set()}
    publication = Publication(url=URL, fetch=fetch)
    rotation = Rotation(engine=engine, lookup=Lookup(store), issuer=issuer, publication=publication, trial=sts, run=loop.run)
    made = World(rotation=rotation, issuer=issuer, sts=sts, published=published, store=store)
    made.publish()
    with store.begin() as connection:
        record_keys(connection, issuer.ring)
    yield made
    loop.close()


def refused(code: str, world: World, **changes: Any) -> ArmError:
    """The refusal, after which everything is as it was."""
    before = world.issuer.ring.records()
    with pytest.raises(ArmError) as caught:
        world.rotate(**changes)
    assert (caught.value.code, caught.value.status) == (code, 409)
    assert world.issuer.ring.records() == before
    assert world.records() == []
    return caught.value


def test_a_rotation_shows_every_step_and_leaves_a_record(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    old, new = world.kid("current"), world.kid("next")
    steps = world.rotate()
    assert [(one.name, one.is_well) for one in steps] == [
        ("before, published", True),
        ("before, present key", True),
        ("before, next key", True),
        ("switch", True),
        ("during, old token", True),
        ("after, new token", True),
        ("after, published", True),
    ]
    kids = [kid for _, kid in world.sts.asked]
    assert kids == [old, old, new, new, old, old, new, new], "one solution of each connector, and the old key once more behind the switch"
    assert (world.kid("current"), world.kid("retired")) == (new, old)
    [record] = world.records()
    assert (record.actor, record.outcome) == ("owner", "accepted")
    assert json.loads(record.detail) | {"puts": 0, "deletes": 0} == json.loads(record.detail)
    assert {name: json.loads(record.detail)[name] for name in ("from", "to", "shortened", "accounts")} == {
        "from": old,
        "to": new,
        "shortened": False,
        "accounts": 2,
    }
    with world.store.read() as connection:
        rows = {row.kid: row.state for row in connection.execute(select(signing_keys))}
    assert rows[new] == "current"
    clock.advance(DAY + 3_600 - 1)
    assert old in {one.kid for one in world.issuer.ring.records()}, "life of a token and a day"
    clock.advance(2)
    assert old not in {one.kid for one in world.issuer.ring.records()}


def test_a_key_that_is_not_published_does_not_sign(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    keys = world.published[f"{URL}/.well-known/jwks.json"]["keys"]
    world.published[f"{URL}/.well-known/jwks.json"] = {"keys": [key for key in keys if key["kid"] != world.kid("next")]}
    assert "isthmus issuer export" in refused("NextKeyNotPublished", world).message
    other = {**keys[0], "kid": world.kid("next")}
    world.published[f"{URL}/.well-known/jwks.json"] = {"keys": [keys[0], other]}
    refused("NextKeyNotPublished", world)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: it.clear(), "does not answer"),
        (lambda it: it.update({f"{URL}/.well-known/openid-configuration": {"issuer": "https://evil.test"}}), "another issuer"),
        (lambda it: it.update({f"{URL}/.well-known/openid-configuration": {"issuer": URL, "jwks_uri": "http://x"}}), "over https"),
        (lambda it: it.update({f"{URL}/.well-known/openid-configuration": []}), "JSON object"),
        (lambda it: it.update({f"{URL}/.well-known/jwks.json": {"keys": {}}}), "0 keys"),
    ],
)
def test_what_is_published_badly_is_not_believed(world: World, clock: Clock, change: Callable[[Any], None], reason: str) -> None:
    clock.advance(DAY)
    change(world.published)
    assert reason in refused("NextKeyNotPublished", world).message


def test_a_key_that_an_account_does_not_take_does_not_sign(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    world.sts.knows["1" * 12].discard(world.kid("next"))
    error = refused("NextKeyRefused", world)
    assert "1 of 2 accounts" in error.message
    assert "1" * 12 in error.message


def test_an_account_that_took_nothing_before_is_no_reason_to_wait(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    world.sts.knows["0" * 12].clear()
    world.sts.away.add("1" * 12)
    steps = {one.name: one for one in world.rotate()}
    assert [one.taken for one in steps["before, present key"].trials] == [False, None]
    assert steps["after, new token"].trials == ()
    assert all(one.is_well for one in steps.values())


def test_a_key_has_to_be_known_for_a_day_or_shortened_on_purpose(world: World) -> None:
    assert "86401 s" in refused("NextKeyTooYoung", world).message
    world.rotate(shortens=True)
    [record] = world.records()
    assert json.loads(record.detail)["shortened"] is True
    refused_again = world.kid("next")
    with pytest.raises(ArmError, match="NextKeyNotPublished"):
        world.rotate(shortens=True, expected=refused_again)
    world.publish()
    world.rotate(shortens=True)


def test_two_rotations_do_not_overlap(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    found: list[str] = []

    def again() -> None:
        with pytest.raises(ArmError) as caught:
            world.rotate()
        found.append(caught.value.code)

    def once() -> None:
        world.sts.then = None
        other = threading.Thread(target=again)
        other.start()
        other.join()

    world.sts.then = once
    world.rotate()
    assert found == ["RotationRunning"]
    assert len(world.records()) == 1


def test_who_looked_at_other_keys_rotates_nothing(world: World, clock: Clock) -> None:
    clock.advance(DAY)
    refused("KeysChanged", world, expected=world.kid("current"))


def test_a_switch_that_nobody_watches_waits_until_aws_knows(world: World) -> None:
    assert world.rotation.may_switch()
    world.published.clear()
    assert world.rotation.may_switch(), "accounts take it, so AWS knows it"
    for known in world.sts.knows.values():
        known.discard(world.kid("next"))
    assert not world.rotation.may_switch()
    world.sts.away = set(world.sts.knows)
    assert not world.rotation.may_switch(), "nobody can tell"
    world.sts.away, world.sts.knows = set(), {account: set() for account in world.sts.knows}
    assert world.rotation.may_switch(), "no account takes anything of ours"


def test_the_plan_says_when(world: World, clock: Clock) -> None:
    told = plan(world.rotation)
    assert [one["state"] for one in told["keys"]] == ["current", "next"]
    assert (told["nextIsReady"], told["oldKeyStaysSeconds"], told["tokenSeconds"]) == (False, 90_000, 600)
    clock.advance(DAY)
    assert plan(world.rotation)["nextIsReady"] is True
    seen, trials = world.rotation.examine()
    assert len(seen.keys) == 2
    assert [one.taken for one in trials] == [True, True]
