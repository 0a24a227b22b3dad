"""Rotating the keys that AWS trusts, rehearsed: seen by AWS before they sign, tried at STS before, during and after the switch.

A key that AWS does not know yet would end every session there is, and the private half of the old one is deleted at the switch. So the next
key is looked for where AWS looks, and a token of it is tried in every account that takes tokens of the present one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import structlog

from isthmus.arm.change import Change
from isthmus.arm.envelope import instant
from isthmus.arm.errors import conflict
from isthmus.arm.types import Actor
from isthmus.clouds.contract import ScanTarget, TokenTrial
from isthmus.engine import Engine, Lookup
from isthmus.identity.issuer import AWS_LIFETIME, Issuer, record_keys
from isthmus.identity.publication import Publication, Seen
from isthmus.keys import Signer
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS, target_of

T = TypeVar("T")
_log = structlog.get_logger("isthmus.keys")

ROTATE: Final = "Isthmus.Identity/issuers/rotate"
AFTER: Final = 90 * 86_400
"""Seconds after which a key gives way to the next one by itself."""
AT_ONCE: Final = 16
_LONGEST = 400
_EXPORT = "Publish what 'isthmus issuer export' writes under the issuer's URL, and wait until it is there."


class Run(Protocol):
    """Runs a coroutine on the loop of the clouds."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result or error."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What came of one token in one account. `taken` is None when nobody can tell; `told` is why it was not taken."""

    connector: str
    account: str
    taken: bool | None
    told: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that was done or looked at, whether it was as it has to be, and what was seen."""

    name: str
    is_well: bool
    told: str
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The ring of the issuer that AWS trusts, the world's view of it, and the accounts that take its tokens."""

    engine: Engine
    lookup: Lookup
    issuer: Issuer
    publication: Publication
    trial: TokenTrial
    run: Run

    def examine(self) -> tuple[Seen, tuple[Trial, ...]]:
        """What is published, and what accounts say to a token of the present key. Nothing is changed."""
        return self.publication.look(), self._try(self._tokens(self._targets()))

    def rotate(self, actor: Actor, *, expected: str, shortens: bool) -> tuple[Step, ...]:
        """Let the next key (its kid is `expected`) sign, and answer every step of it. `shortens` does without the day of its publication.

        ArmError 409, and nothing changed: `RotationRunning`, `KeysChanged`, `NextKeyTooYoung`, `NextKeyNotPublished`, `NextKeyRefused`.
        """
        ring = self.issuer.ring
        with ring.held():
            turn, targets = ring.turn(), self._targets()
            lead = 0.0 if shortens else None
            ring.require_turn(expected=expected, lead=lead)
            before = self.publication.look()
            self._require_published(before)
            present = self._try(self._tokens(targets))
            takers = [target for (_, target), one in zip(targets, present, strict=True) if one.taken]
            taking = [pair for pair in targets if pair[1] in takers]
            ahead = self._try(self._tokens(taking, by=ring.next_signer()))
            self._require_taken(ahead)
            kept = self._tokens(taking)
            with self.engine.store.begin() as connection:
                detail = {"from": turn.current.kid, "to": turn.following.kid, "shortened": shortens, "accounts": len(taking)}
                self.engine.apply_within(connection, Change(detail=detail), actor, ROTATE, f"/providers/{ROTATE.rpartition('/')[0]}/aws")
                ring.rotate(lead=lead, expected=expected)
                record_keys(connection, ring)
            during, after = self._try(kept), self._try(self._tokens(taking))
            seen = self.publication.look()
        retired = next((one for one in ring.records() if one.kid == turn.current.kid), turn.current)
        both = seen.shows(turn.following) and seen.shows(turn.current)
        until = instant(retired.retires_at) if retired.retires_at else "now"
        return (
            Step(name="before, published", is_well=True, told=f"{self.publication.url} shows the next key {turn.following.kid}"),
            _step("before, present key", present, "a token of the present key", judged=taking),
            _step("before, next key", ahead, "a token of the next key"),
            Step(
                name="switch", is_well=True, told=f"{turn.following.kid} signs since now; {turn.current.kid} stays published until {until}"
            ),
            _step("during, old token", during, "a token that the old key had signed before the switch"),
            _step("after, new token", after, "a token of the new key"),
            Step(
                name="after, published", is_well=both, told=seen.problem or f"{'both keys are' if both else 'not both keys are'} published"
            ),
        )

    def may_switch(self) -> bool:
        """For a switch that nobody watches: whether AWS knows the next key. Where no account takes our tokens, nobody is hurt."""
        if self.publication.look().shows(self.issuer.ring.turn().following):
            return True
        targets = self._targets()
        takers = [pair for pair, one in zip(targets, self._try(self._tokens(targets)), strict=True) if one.taken is not False]
        found = self._try(self._tokens(takers, by=self.issuer.ring.next_signer()))
        if all(one.taken for one in found):
            return True
        _log.warning("the next key of the issuer is due, and AWS does not know it: it waits", url=self.publication.url, remedy=_EXPORT)
        return False

    def _require_published(self, seen: Seen) -> None:
        following = self.issuer.ring.turn().following
        if not seen.shows(following):
            why = seen.problem or f"{len(seen.keys)} keys are published there, and it is none of them"
            raise conflict(
                f"AWS would not find the next key {following.kid} under {self.publication.url}: {why}. Nothing was changed. {_EXPORT}",
                target=following.kid,
                code="NextKeyNotPublished",
            )

    def _require_taken(self, found: Sequence[Trial]) -> None:
        refused = [one for one in found if not one.taken]
        if refused:
            first = refused[0]
            raise conflict(
                f"{len(refused)} of {len(found)} accounts do not take a token of the next key, the first is {first.account}: {first.told} "
                "Nothing was changed. AWS keeps what it once read for a while; try again later.",
                target=first.connector,
                code="NextKeyRefused",
            )

    def _targets(self) -> list[tuple[str, ScanTarget]]:
        """One solution of each connector: the provider that is trusted is the account's, not the solution's."""
        found: dict[str, tuple[str, ScanTarget]] = {}
        connectors = {one.id.key: one for one in self.lookup.all(types=[CONNECTORS])}
        for solution in self.lookup.all(types=[CONFIGURATIONS]):
            parent = solution.id.parent
            connector = connectors.get(parent.key) if parent is not None else None
            if connector is not None:
                found.setdefault(connector.id.key, (str(connector.id), target_of(connector, solution.properties["solutionType"])))
        return [found[key] for key in sorted(found)]

    def _tokens(self, targets: Sequence[tuple[str, ScanTarget]], *, by: Signer | None = None) -> list[tuple[str, ScanTarget, str]]:
        return [(id, target, self.issuer.mint(self.trial.claims(target), AWS_LIFETIME, by=by)) for id, target in targets]

    def _try(self, tokens: Sequence[tuple[str, ScanTarget, str]]) -> tuple[Trial, ...]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(id: str, target: ScanTarget, token: str) -> Trial:
            async with places:
                try:
                    await self.trial.try_token(target, token)
                except PermissionError as error:
                    return Trial(connector=id, account=target.account, taken=False, told=str(error)[:_LONGEST])
                except ConnectionError as error:
                    return Trial(connector=id, account=target.account, taken=None, told=str(error)[:_LONGEST])
                return Trial(connector=id, account=target.account, taken=True)

        async def everywhere() -> list[Trial]:
            return list(await asyncio.gather(*(one(*token) for token in tokens)))

        return tuple(self.run(everywhere()))


def plan(rotation: Rotation) -> Mapping[str, Any]:
    """The next rotation as data: keys, times (ISO 8601), and what happens when. Nothing is looked up outside."""
    ring = rotation.issuer.ring
    turn = ring.turn()
    now = rotation.engine.now()
    due = max(turn.current.created_at + AFTER * 1000, turn.ready_at)
    return {
        "url": rotation.issuer.url,
        "keys": [
            {
                "kid": one.kid,
                "state": one.state,
                "createdAt": instant(one.created_at),
                "retiresAt": instant(one.retires_at) if one.retires_at else None,
            }
            for one in ring.records()
        ],
        "nextSignsFrom": instant(turn.ready_at),
        "nextIsReady": turn.ready_at <= now,
        "dueAt": instant(due),
        "oldKeyStaysSeconds": int(ring.keep),
        "tokenSeconds": AWS_LIFETIME,
    }


def _step(name: str, trials: Sequence[Trial], what: str, *, judged: Sequence[object] | None = None) -> Step:
    """`judged` are those that count, all by default: an account that took nothing before is no reason to keep a key."""
    taken = sum(one.taken is True for one in trials)
    wanted = len(trials) if judged is None else len(judged)
    told = f"{taken} of {len(trials)} accounts take {what}" if trials else "no account takes tokens of this issuer yet"
    return Step(name=name, is_well=taken >= wanted, told=told, trials=tuple(trials))
