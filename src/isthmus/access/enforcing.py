"""The job that makes accounts deny: change the policy, watch with a session of the same identity until the first denial, end shells.

One run serves everything that waits for an account, so two hundred revocations at once are one write of its policy. Probes are sessions
that may do one harmless call and nothing else; they exist in this process alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select

from isthmus.access import grants, revocations
from isthmus.access.broker import BROKER, STS_SECONDS, Run, session_row
from isthmus.access.denials import Keys, keys_of, names_everybody, revocation_policy
from isthmus.access.former import trusted_at
from isthmus.access.leases import lease_policy
from isthmus.access.mappings import RoleMapping, access_target, mapping_of, witness
from isthmus.access.revocations import DENIED, DENY, QUEUE, UNREACHABLE, Revocation, deny_order
from isthmus.access.tokens import AWS_SECONDS, Stamp, person_claims
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.access import PROBE, protection_of
from isthmus.clouds.aws.template.directories import Directory
from isthmus.clouds.contract import AccessCloud, PersonCredentials, ScanTarget, ShellOwner
from isthmus.engine import Engine, Lookup
from isthmus.identity.evidence import SignedIn
from isthmus.identity.issuer import Issuer
from isthmus.store.tables import access_sessions
from isthmus.work import Arguments, Job, Queue, Timetable

_log = structlog.get_logger("isthmus.access")

AT_ONCE: Final = 32
WATCH_SECONDS: Final = 60.0
UNWATCHED: Final = "The policy stands; there was no session here that could be watched."
WITNESSED: Final = (
    "Watched on a role that has the same policy: AWS denies what carries this person's object id. The directory names sessions and begins "
    "new ones: disable the person there too."
)
WITNESSED_ALL: Final = (
    "Watched on a role that has the same policy: AWS denies every session that began before. Sessions name nobody that Isthmus knows here, "
    "and the directory begins new ones: disable the person there too."
)
NO_WITNESS: Final = (
    "The policy stands; nothing could be watched: update the account's stack, which makes the role for it. Disable the person in the "
    "directory too."
)
REMOVED: Final = (
    "The connector was removed, and Isthmus reaches the account no more. Delete its CloudFormation stack: sessions end with the roles; "
    "shells that are open do not."
)
OVER: Final = "The account did not answer until every session had ended by itself. Its shells were looked for now."
READMITTED: Final = "The policy stands; the person was let in again meanwhile, and only what they began before is denied."
_AHEAD = 60
"""Seconds by which probes may begin after the policy, and the cloud's clock be ahead of ours."""
_BEGINNING = 1_000
"""Milliseconds that a probe takes to begin."""
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
    sleep: Callable[[float], None] = time.sleep

    def job(self) -> Job:
        """Bring one account in line: arguments `connector`, and `settle` to do so also when nobody waits for it."""
        return Job(name=DENY, queue=QUEUE, run=self.enforce, failed=self.failed, attempts=5, interval_seconds=2)

    def timetable(self) -> Timetable:
        """Each minute: whatever an account does not deny yet, and what need not be denied any more."""
        return Timetable(name="revocations", cron="40 * * * * *", run=self.resume)

    def resume(self, _planned: datetime) -> None:
        """Order a run for every account that is not settled, and the end of shells that outlived their grants."""
        now = self.engine.now()
        with self.engine.store.begin() as connection:
            revocations.end_outlived_shells(connection, self.engine, BROKER)
            found = revocations.unsettled(connection, now)
        for connector in found:
            if self.lookup.find(connector) is None:
                continue
            change = Change(jobs=(deny_order(connector, f"{connector}:{now // 60_000}", settle=True),))
            self.engine.apply(change, BROKER, "Isthmus.Access/revocations/resume", connector)

    def enforce(self, arguments: Arguments) -> None:
        """Everything that waits for the account of a connector. Raises ArmError 503 while the account does not answer."""
        connector = self.lookup.find(arguments["connector"])
        key = str(arguments["connector"]).lower()
        with self.engine.store.read() as connection:
            pending = revocations.waiting(connection, key, self.engine.now())
            again = revocations.to_look_again(connection, key, self.engine.now())
        if not pending and not arguments.get("settle"):
            return  # an earlier run has served it with others
        if connector is None:
            self._note(key, [one.id for one in pending], UNREACHABLE, REMOVED)
            return
        try:
            self._enforce(access_target(connector), key, pending, again)
        except PermissionError as error:
            self._wait(key, str(error))
        except ConnectionError as error:
            self._wait(key, str(error))
            raise unavailable(str(error)) from error

    def _wait(self, key: str, told: str) -> None:
        """Say of whatever is not denied yet why it waits."""
        with self.engine.store.read() as connection:
            left = revocations.waiting(connection, key, self.engine.now())
        self._note(key, [one.id for one in left], UNREACHABLE, told)

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """What still waits is tried again each minute, and says why it waits."""
        _log.error("an account does not deny yet", connector=arguments["connector"], reason=error.message)

    def _enforce(self, target: ScanTarget, key: str, pending: Sequence[Revocation], again: Sequence[Revocation]) -> None:
        """The policy first, then the shells: nothing else has to succeed before they end. While AWS spreads the policy somebody may open
        another one, so what is denied already is looked at `again` until the last lease is over. Probes begin after the policy and are
        denied by it as well, unless it names nobody, since so many are denied: then it is raised once more, behind them."""
        now = self.engine.now()
        due, late = [one for one in pending if one.until > now], [one for one in pending if one.until <= now]
        with self.engine.store.read() as connection:
            directory = trusted_at(connection, key, now)
        cut = self._write(target, key, directory, is_raised=bool(due))
        attached = self.engine.now()
        self._end_shells(target, key, [*pending, *again])
        self._note(key, [one.id for one in late], DENIED, OVER, attached_at=attached)
        # Asked once: a second answer, a moment later, could leave somebody out of both.
        watchable = {one.id for one in due if self._may_watch(one)}
        self._note(key, [one.id for one in due if one.id not in watchable], DENIED, READMITTED, attached_at=attached)
        due = [one for one in due if one.id in watchable]
        probes = self._begin(target, key, due, directory)
        if probes and cut:
            cut = self._write(target, key, directory, is_raised=True)
        watched = {probe.revocation.id for probe in probes}
        unwatched = [one for one in due if one.id not in watched]
        self._settle(target, key, unwatched, UNWATCHED if directory is None else NO_WITNESS, attached, None)
        witnessed = "" if directory is None else WITNESSED if keys_of(directory) is Keys.DIRECTORY else WITNESSED_ALL
        self._watch(target, key, probes, attached, witnessed)
        if cut and due:
            # What bystanders began meanwhile is denied as well, up to an instant that lies a little ahead of now.
            self.sleep(max(0.0, cut - self.engine.now() / 1000))
            self._overtake(key, cut)

    def _settle(self, target: ScanTarget, key: str, found: Sequence[Revocation], detail: str, attached: int, denied_at: int | None) -> None:
        """Shells end first: what is noted as denied is not looked at again, also when this process dies in between."""
        self._end_shells(target, key, found)
        self._note(key, [one.id for one in found], DENIED, detail, attached_at=attached, denied_at=denied_at)

    def _may_watch(self, revocation: Revocation) -> bool:
        """Whether the policy denies a probe that begins now: who was let in again is denied only what began until then."""
        return revocation.readmitted_at is None or self.engine.now() + _BEGINNING < revocation.before

    def _write(self, target: ScanTarget, key: str, directory: Directory | None, *, is_raised: bool) -> int:
        """Make the policy what it has to be at this moment. Where it names nobody, the instant (seconds) before which whatever began is
        denied, raised to this moment only for somebody who waits: bystanders have to begin again. 0 where it names whom it denies."""
        now = self.engine.now()
        with self.engine.store.read() as connection:
            denied = revocations.denied_now(connection, key, now)
        protection, keys = protection_of(target, self.issuer.url), keys_of(directory)
        # Who is named gets no new session, so the instant may lie ahead of the probes; where nobody is named it would shut everybody out.
        instant = max(denied.before, now // 1000 + _AHEAD) if is_raised and denied.people else denied.before
        text = revocation_policy(replace(denied, before=instant), protection, keys)
        before = 0
        if not names_everybody(text):
            before = max(denied.before, now // 1000 + 1) if is_raised else denied.before
            text = revocation_policy(replace(denied, before=before), protection, keys)
        self.run(self.cloud.deny(target, text))
        if before and is_raised:
            self._overtake(key, before)
        return before

    def _overtake(self, key: str, before: int) -> None:
        """Mark whatever an account denies now, so that whoever holds it learns of it."""
        with self.engine.store.begin() as connection:
            grants.mark_overtaken(connection, key, before * 1000, self.engine.now())

    def _begin(self, target: ScanTarget, key: str, pending: Sequence[Revocation], directory: Directory | None) -> list[Probe]:
        """Sessions of the roles that these people last had here, where they had one and the account still gives it.

        Where a directory begins sessions, a role that nobody holds stands for theirs, under the same policy and the same marks."""
        now = self.engine.now()
        until = now + STS_SECONDS * 1000
        if directory is None:
            held = [(one, *found) for one in pending if (found := self._last(key, one)) is not None]
        else:
            held = [(one, witness(target, key), "G-witness") for one in pending]
        if not held:
            return []
        detail = {"revocations": [one.id for one, _, _ in held], "use": "probe", "action": PROBE}
        self.engine.apply(Change(detail=detail), BROKER, "Isthmus.Access/revocations/probe", key)
        policy = lease_policy(until / 1000, actions=(PROBE,))
        tokens = [self._token(one, mapping, grant, now, until) for one, mapping, grant in held]

        async def exchange() -> list[PersonCredentials | None]:
            places = asyncio.Semaphore(AT_ONCE)

            async def one(revocation: Revocation, mapping: RoleMapping, token: str) -> PersonCredentials | None:
                name = names.person_session_name("probe", revocation.person) if directory is None else revocation.person
                async with places:
                    try:
                        return await self.cloud.exchange(
                            target, mapping.role, token=token, session_name=name, policy=policy, seconds=STS_SECONDS
                        )
                    except PermissionError as error:
                        _log.warning("no probe of a revocation", revocation=revocation.id, reason=str(error))
                        return None

            return await asyncio.gather(*(one(found, mapping, token) for (found, mapping, _), token in zip(held, tokens, strict=True)))

        begun = [(one, made) for one, made in zip(held, self.run(exchange()), strict=True) if made is not None]
        with self.engine.store.begin() as connection:
            for (revocation, mapping, grant), made in begun:
                row = session_row(mapping, revocation.person, made.access_key, grant=grant, sign_in=_probe_id(revocation), use="probe")
                grants.note_session(connection, {**row, "issued_at": now, "lease_until": until, "revoked_at": now})
        return [Probe(revocation=revocation, credentials=made) for (revocation, _, _), made in begun]

    def _token(self, revocation: Revocation, mapping: RoleMapping, grant: str, now: int, until: int) -> str:
        person = SignedIn(
            id=_probe_id(revocation),
            object_id=revocation.person,
            issuer="",
            subject="",
            name="",
            methods=("mfa",),
            at=now,
            ends_at=until,
        )
        marked = revocation.person if mapping.role_name else ""
        return self.issuer.mint(person_claims(mapping, person, Stamp(grant=grant, sign_in=person.id, person=marked)), AWS_SECONDS)

    def _last(self, key: str, revocation: Revocation) -> tuple[RoleMapping, str] | None:
        wanted = [access_sessions.c.person == revocation.person, access_sessions.c.mapping.startswith(f"{key}/", autoescape=True)]
        if revocation.grant:
            wanted.append(access_sessions.c.grant == revocation.grant)
        newest = select(access_sessions.c.mapping, access_sessions.c.grant).where(*wanted).order_by(access_sessions.c.issued_at.desc())
        with self.engine.store.read() as connection:
            row = connection.execute(newest.limit(1)).first()
        mapping, connector = (self.lookup.find(row.mapping), self.lookup.find(key)) if row else (None, None)
        return (mapping_of(mapping, connector), row.grant) if row and mapping and connector else None

    def _watch(self, target: ScanTarget, key: str, probes: Sequence[Probe], attached: int, detail: str) -> None:
        """Call until the first denial of each; what is still allowed after a minute is told as such and tried again."""
        left = list(probes)
        pause = 0.05
        while left:
            allowed = self.run(self._ask(target, left))
            denied = [probe.revocation for probe, is_allowed in zip(left, allowed, strict=True) if not is_allowed]
            self._settle(target, key, denied, detail, attached, self.engine.now())
            left = [probe for probe, is_allowed in zip(left, allowed, strict=True) if is_allowed]
            if left and self.engine.now() - attached > WATCH_SECONDS * 1000:
                told = f"The account still allowed a call {WATCH_SECONDS:.0f} seconds after its policy was changed."
                self._note(key, [probe.revocation.id for probe in left], UNREACHABLE, told, attached_at=attached)
                return
            if left:
                self.sleep(pause)
                pause = min(pause * 1.5, 1.0)

    async def _ask(self, target: ScanTarget, probes: Sequence[Probe]) -> list[bool]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(probe: Probe) -> bool:
            async with places:
                return await self.cloud.probe(target, probe.credentials)

        return list(await asyncio.gather(*map(one, probes)))

    def _end_shells(self, target: ScanTarget, key: str, found: Sequence[Revocation]) -> None:
        """In every region in which these people took sessions for shells, of the grant that ended where it is a single one."""
        ended: Counter[str] = Counter()
        began = self.engine.now()
        for region, owners in sorted(self._shells(target, found).items()):
            counts = self.run(self.cloud.end_shells(target, region, tuple(owners)))
            for owner, count in counts.items():
                ended[owners[owner]] += count
        if found:
            with self.engine.store.begin() as connection:
                revocations.note_look(connection, key, [one.id for one in found], began)
                for id, count in ended.items():
                    revocations.count_shells(connection, id, key, count)

    def _shells(self, target: ScanTarget, found: Sequence[Revocation]) -> dict[str, dict[ShellOwner, str]]:
        """By region whose shells may be open, and which revocation each is about."""
        by_person: defaultdict[str, list[Revocation]] = defaultdict(list)
        for one in found:
            by_person[one.person].append(one)
        row = access_sessions.c
        wanted = (row.person.in_(by_person), row.account == target.account, grants.IS_SHELL)
        with self.engine.store.read() as connection:
            taken = connection.execute(select(row.person, row.grant, row.mapping, row.role_arn, row.use).where(*wanted).distinct()).all()
            now = self.engine.now()
            living = {person: grants.living(connection, person, now) for person in by_person}
        regions: defaultdict[str, dict[ShellOwner, str]] = defaultdict(dict)
        for session in taken:
            held = frozenset(one.id for one in living[session.person] if one.mapping == session.mapping)
            role = session.role_arn.rpartition("/")[2]
            everything = ShellOwner(source=session.person)
            of_grant = ShellOwner(source=session.person, role=role, grant=session.grant, spared=held)
            for one in by_person[session.person]:
                if one.grant in ("", session.grant):
                    regions[session.use.removeprefix("shell:")][of_grant if one.grant else everything] = one.id
        return dict(regions)

    def _note(
        self, key: str, ids: Sequence[str], state: str, detail: str, *, attached_at: int | None = None, denied_at: int | None = None
    ) -> None:
        if not ids:
            return
        with self.engine.store.begin() as connection:
            for id in ids:
                values = {"state": state, "detail": detail, "attached_at": attached_at, "denied_at": denied_at}
                revocations.note(connection, id, key, **values)


def _probe_id(revocation: Revocation) -> str:
    """The sign-in that a probe's session carries: there was none, and audit sees at once what it was."""
    return f"probe:{revocation.id}"
