"""The job that makes accounts deny: change the policy, watch with a session of the same identity until the first denial, end shells.

One run serves everything that waits for an account, so two hundred revocations at once are one write of its policy. Probes are sessions
that may do one harmless call and nothing else; they exist in this process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select

from isthmus.access import grants, revocations
from isthmus.access.broker import BROKER, STS_SECONDS, Run, session_row
from isthmus.access.denials import revocation_policy
from isthmus.access.leases import lease_policy
from isthmus.access.mappings import RoleMapping, access_target, mapping_of
from isthmus.access.revocations import DENIED, DENY, QUEUE, UNREACHABLE, Revocation, deny_order
from isthmus.access.tokens import AWS_SECONDS, Stamp, person_claims
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.access import PROBE, protection_of
from isthmus.clouds.contract import AccessCloud, PersonCredentials, ScanTarget
from isthmus.engine import Engine, Lookup
from isthmus.identity.evidence import SignedIn
from isthmus.identity.issuer import Issuer
from isthmus.store.tables import access_sessions
from isthmus.work import Arguments, Job, Queue, Timetable

_log = structlog.get_logger("isthmus.access")

AT_ONCE: Final = 32
WATCH_SECONDS: Final = 60.0
_SKEW = 5
"""Seconds by which the cloud's clock may be ahead of ours; who is denied gets no new session anyway."""
QUEUES: Final = (Queue(name=QUEUE, worker_concurrency=8, partitioned=True, polling_seconds=0.2),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A session under the identity that a revocation is about."""

    revocation: Revocation
    credentials: PersonCredentials


@dataclass(frozen=True, kw_only=True)
class Enforcement:
    """Jobs and timetable of revocation."""

    engine: Engine
    lookup: Lookup
    cloud: AccessCloud
    run: Run
    issuer: Issuer
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def job(self) -> Job:
        """Bring one account in line: argument `connector`."""
        return Job(name=DENY, queue=QUEUE, run=self.enforce, failed=self.failed, attempts=5, interval_seconds=2)

    def timetable(self) -> Timetable:
        """Each minute: whatever an account does not deny yet, and what need not be denied any more."""
        return Timetable(name="revocations", cron="40 * * * * *", run=self.resume)

    def resume(self, _planned: datetime) -> None:
        """Order a run for every account that is not settled."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            found = revocations.unsettled(connection, now)
        for connector in found:
            change = Change(jobs=(deny_order(connector, f"{connector}:{now // 60_000}"),))
            self.engine.apply(change, BROKER, "Isthmus.Access/revocations/resume", connector)

    def enforce(self, arguments: Arguments) -> None:
        """Everything that waits for the account of a connector. Raises ArmError 503 while the account does not answer."""
        connector = self.lookup.find(arguments["connector"])
        key = str(arguments["connector"]).lower()
        now = self.engine.now()
        with self.engine.store.read() as connection:
            pending = revocations.waiting(connection, key, now)
        if connector is None:
            self._note(key, pending, DENIED, "The connector was removed, and its roles with the stack; leases have run out.")
            return
        target = access_target(connector)
        try:
            self.run(self._enforce(target, key, pending))
        except PermissionError as error:
            self._note(key, pending, UNREACHABLE, str(error))
        except ConnectionError as error:
            self._note(key, pending, UNREACHABLE, str(error))
            raise unavailable(str(error)) from error

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """What still waits is tried again each minute, and says why it waits."""
        _log.error("an account does not deny yet", connector=arguments["connector"], reason=error.message)

    async def _enforce(self, target: ScanTarget, key: str, pending: Sequence[Revocation]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def begin(revocation: Revocation) -> Probe | None:
            async with places:
                return await self._probe(target, key, revocation)

        probes = [probe for probe in await asyncio.gather(*map(begin, pending)) if probe is not None]
        await self._write(target, key)
        attached = self.engine.now()
        watched = {probe.revocation.id for probe in probes}

        async def finish(probe: Probe) -> None:
            async with places:
                await self._watch(target, key, probe, attached)

        await asyncio.gather(*map(finish, probes))
        unwatched = [one for one in pending if one.id not in watched]
        if unwatched:
            self._note(key, unwatched, DENIED, "No session had been given here that could be watched.", attached_at=attached)
        for person in sorted({one.person for one in pending}):
            await self._end_shells(target, key, person, pending)

    async def _write(self, target: ScanTarget, key: str) -> None:
        """The policy as it has to be at this moment: probes have begun, so the instant lies behind them."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            denied = revocations.denied_now(connection, key, now)
        ahead = now // 1000 + _SKEW
        denied = replace(
            denied,
            before=max(denied.before, ahead) if denied.people else 0,
            ended_before=max(denied.ended_before, ahead) if denied.grants else 0,
        )
        await self.cloud.deny(target, revocation_policy(denied, protection_of(target, self.issuer.url)))

    async def _probe(self, target: ScanTarget, key: str, revocation: Revocation) -> Probe | None:
        """A session of the role that the person last had here; None when there is none, or when the account gives none any more."""
        held = self._last(key, revocation)
        if held is None:
            return None
        mapping, grant = held
        now = self.engine.now()
        until = now + STS_SECONDS * 1000
        person = SignedIn(
            id=f"probe:{revocation.id}",
            object_id=revocation.person,
            issuer="",
            subject="",
            name="",
            methods=("mfa",),
            at=now,
            ends_at=until,
        )
        detail = {"revocation": revocation.id, "grant": grant, "use": "probe", "action": PROBE}
        self.engine.apply(Change(detail=detail), BROKER, "Isthmus.Access/revocations/probe", mapping.id)
        token = self.issuer.mint(person_claims(mapping, person, Stamp(grant=grant, sign_in=person.id)), AWS_SECONDS)
        try:
            made = await self.cloud.exchange(
                target,
                mapping.role,
                token=token,
                session_name=names.person_session_name("probe", revocation.person),
                policy=lease_policy(until / 1000, actions=(PROBE,)),
                seconds=STS_SECONDS,
            )
        except PermissionError as error:
            _log.warning("no probe of a revocation", revocation=revocation.id, reason=str(error))
            return None
        row = session_row(mapping, revocation.person, made.access_key, grant=grant, sign_in=person.id, use="probe")
        with self.engine.store.begin() as connection:
            grants.note_session(connection, {**row, "issued_at": now, "lease_until": until, "revoked_at": now})
        return Probe(revocation=revocation, credentials=made)

    def _last(self, key: str, revocation: Revocation) -> tuple[RoleMapping, str] | None:
        wanted = [access_sessions.c.person == revocation.person, access_sessions.c.mapping.startswith(f"{key}/", autoescape=True)]
        if revocation.grant:
            wanted.append(access_sessions.c.grant == revocation.grant)
        newest = select(access_sessions.c.mapping, access_sessions.c.grant).where(*wanted).order_by(access_sessions.c.issued_at.desc())
        with self.engine.store.read() as connection:
            row = connection.execute(newest.limit(1)).first()
        mapping, connector = (self.lookup.find(row.mapping), self.lookup.find(key)) if row else (None, None)
        return (mapping_of(mapping, connector), row.grant) if row and mapping and connector else None

    async def _watch(self, target: ScanTarget, key: str, probe: Probe, attached: int) -> None:
        """Call until the first denial; what is still allowed after a minute is told as such and tried again."""
        pause = 0.05
        while await self.cloud.probe(target, probe.credentials):
            if self.engine.now() - attached > WATCH_SECONDS * 1000:
                told = f"The account still allowed a call {WATCH_SECONDS:.0f} seconds after its policy was changed."
                self._note(key, [probe.revocation], UNREACHABLE, told, attached_at=attached)
                return
            await self.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        self._note(key, [probe.revocation], DENIED, "", attached_at=attached, denied_at=self.engine.now())

    async def _end_shells(self, target: ScanTarget, key: str, person: str, pending: Sequence[Revocation]) -> None:
        """In every region in which the person opened one under us, as long as it may still be open."""
        wanted = (access_sessions.c.person == person, access_sessions.c.use.like("shell:%"))
        with self.engine.store.read() as connection:
            uses = connection.execute(select(access_sessions.c.use).where(*wanted).distinct()).scalars().all()
        for region in sorted(use.removeprefix("shell:") for use in uses):
            ended = await self.cloud.end_shells(target, region, person)
            mine = [one for one in pending if one.person == person]
            with self.engine.store.begin() as connection:
                for one in mine[:1]:
                    revocations.note(connection, one.id, key, shells=ended)

    def _note(
        self,
        key: str,
        found: Sequence[Revocation],
        state: str,
        detail: str,
        *,
        attached_at: int | None = None,
        denied_at: int | None = None,
    ) -> None:
        with self.engine.store.begin() as connection:
            for one in found:
                values = {"state": state, "detail": detail, "attached_at": attached_at, "denied_at": denied_at}
                revocations.note(connection, one.id, key, **values)
