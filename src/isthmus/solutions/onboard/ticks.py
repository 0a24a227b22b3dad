"""One tick: look where it is time to look, decide for every row, act for many at once, and say when to come back.

A tick may die anywhere. What it decides is stored before it acts; commands are looked for before they are sent again; everything else is
read anew. Ticks of one region never run at the same time, because their queue is partitioned by region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Connection, RowMapping, select

from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import Invocation, Shell
from isthmus.engine import Engine, Lookup, lookup
from isthmus.machines import Machines, registration, windows
from isthmus.solutions import places, subject
from isthmus.solutions.loop import Loop
from isthmus.solutions.onboard import commands, observing, report, rows
from isthmus.solutions.onboard.registering import Registrar
from isthmus.solutions.onboard.rows import InstanceRow
from isthmus.solutions.onboard.steps import Observed, Standing, Step, failed, next_step
from isthmus.solutions.subject import Subject
from isthmus.store.tables import windows as window_rows
from isthmus.work import Arguments

TICK = "onboarding.tick"
_FRESH = 1_500
_FRESH_AFTER_SCAN = 30_000
_LATE = 45_000
_SOON = 60_000
_RESEND = 15_000
_FIRST_POLL = 400


class Gone(Exception):
    """The solution was deleted while the tick ran."""


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """Runs ticks. `ca` is the PEM of the CA that machines are to trust; `started` is when this process did, epoch milliseconds."""

    engine: Engine
    lookup: Lookup
    shell: Shell
    loop: Loop
    machines: Machines
    ca: str
    started: int = 0

    def tick(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Arguments `solution`, `account`, `region`, `slot`; `scan` when a scan has just looked; `retry` and `release` by a person."""
        found = subject.load(self.lookup, arguments["solution"])
        if found is None:
            return None
        region, log = str(arguments["region"]), structlog.get_logger().bind(region=arguments["region"], account=arguments["account"])
        try:
            known = self._look(found, region, arguments, log)
            decided, steps = self._decide(found, region, known, arguments)
            self._act(found, region, decided, known)
            self._come_back(found, region, int(arguments["slot"]))
        except Gone:
            return None
        status, text = report.say(self.engine, str(found.solution.id))
        log.info("onboarding_tick", rows=len(known), acts=sum(1 for step in steps if step.act), status=status)
        return {"rows": len(known), "status": status, "details": text[:500]}

    def _look(self, found: Subject, region: str, arguments: Arguments, log: Any) -> dict[str, InstanceRow]:
        """The rows to decide on, their observations fresh where they count."""
        key, now, scanned = found.solution.id.key, self.engine.now(), bool(arguments.get("scan"))
        with self.engine.store.read() as connection:
            due = rows.of_region(connection, key, region, due=None if scanned else now)
        if not _is_stale(due, now, _FRESH_AFTER_SCAN if scanned else _FRESH):
            return {row.key: row for row in due}
        try:
            instances, nodes = self.loop.run(observing.look(self.shell, found.target, region))
        except (AwsError, AwsTransportError, PermissionError) as error:
            log.warning("region_not_read", error=str(error))
            return {row.key: row for row in due if row.in_flight} | self._postpone(found, due)
        with self.engine.store.begin() as connection:
            self._require(connection, found)
            known = rows.of_region(connection, key, region)
            rows.observe(connection, observing.observed_rows(found, region, instances, nodes, known, now))
            return {row.key: row for row in rows.of_region(connection, key, region)}

    def _postpone(self, found: Subject, due: Sequence[InstanceRow]) -> dict[str, InstanceRow]:
        """Without a look nothing can be said about what is not under way: later."""
        later = self.engine.now() + _SOON + _RESEND
        with self.engine.store.begin() as connection:
            self._require(connection, found)
            idle = {row.key: row for row in due if not row.in_flight}
            rows.save(connection, [replace(row, next_at=later) for row in idle.values()], idle)
        return {}

    def _decide(
        self, found: Subject, region: str, known: Mapping[str, InstanceRow], arguments: Arguments
    ) -> tuple[list[InstanceRow], list[Step]]:
        """Decide for every row and store it; the rows as stored."""
        place = self._place(found, region)
        with self.engine.store.read() as connection:
            enrolled = _enrolled(connection, known)
        asked = {row.command_id for row in known.values() if row.in_flight and row.command_id and row.key not in enrolled}
        answers = self.loop.run(commands.poll_all(self.shell, place, asked)) if asked else {}
        now = self.engine.now()
        person = {"retry": bool(arguments.get("retry")), "release": bool(arguments.get("release"))}
        with self.engine.store.begin() as connection:
            self._require(connection, found)
            standings = _standings(connection, known, now)
            used = windows.generations(connection, known)
            steps = [
                next_step(row, self._observed(row, answers, standings.get(row.machine), used.get(row.key, 0), person), now)
                for row in known.values()
            ]
            registering = [step for step in steps if step.act == "register"]
            registrar = Registrar(engine=self.engine, subject=found, tenant=self.machines.tenant)
            registered, _ = registrar.register(connection, registering, now) if registering else ([], {})
            decided = {step.row.key: step.row for step in steps} | {row.key: row for row in registered}
            fresh = {step.row.key for step in steps if step.act in ("genkey", "connect")}
            fresh |= {row.key for row in registered if row.in_flight}
            for action, state in (("genkey", rows.KEYGEN), ("connect", rows.CONNECTING)):
                members = [decided[key] for key in fresh if decided[key].state == state]
                for name, part in commands.group(action, members):
                    decided.update((row.key, replace(row, batch=name)) for row in part)
            changed = [row for key, row in decided.items() if row != known[key]]
            rows.save(connection, changed, known)
        return list(decided.values()), steps

    def _observed(
        self,
        row: InstanceRow,
        answers: Mapping[str, Mapping[str, Invocation]],
        standing: Standing | None,
        used: int,
        person: Mapping[str, bool],
    ) -> Observed:
        polled = answers.get(row.command_id) if row.command_id else None
        return Observed(
            standing=standing,
            polled=polled is not None,
            invocation=polled.get(row.instance_id) if polled is not None else None,
            used=used,
            before_start=row.since < self.started,
            **person,
        )

    def _act(self, found: Subject, region: str, decided: Sequence[InstanceRow], known: Mapping[str, InstanceRow]) -> None:
        """Send what was decided and not sent, and store what became of it."""
        now = self.engine.now()
        waiting = [row for row in decided if row.in_flight and row.batch and not row.command_id and row.next_at <= now]
        if not waiting:
            return
        with self.engine.store.read() as connection:
            standings = registration.of_machines(connection, [row.machine for row in waiting])
        vm_ids = {row.key: standings[row.machine]["vm_id"] for row in waiting if row.machine in standings}
        waiting = [row for row in waiting if row.state != rows.CONNECTING or row.key in vm_ids]
        fresh = {row.batch for row in waiting if known[row.key].batch != row.batch}
        batches = commands.batches_of(waiting, vm_ids, fresh)
        sent = self.loop.run(commands.send_all(self.shell, self._place(found, region), batches))
        now = self.engine.now()
        after: list[InstanceRow] = []
        for row in waiting:
            if row.instance_id in sent.commands:
                after.append(replace(row, command_id=sent.commands[row.instance_id], code="", evidence={}, next_at=now + _FIRST_POLL))
            elif row.instance_id in sent.refused:
                after.append(failed(row, sent.refused[row.instance_id], now))
            else:
                delay = sent.delayed[row.instance_id]
                after.append(replace(row, code=delay.code, evidence=dict(delay.evidence), next_at=now + _RESEND))
        with self.engine.store.begin() as connection:
            self._require(connection, found)
            rows.save(connection, after, {row.key: row for row in waiting})

    def _come_back(self, found: Subject, region: str, slot: int) -> None:
        """Order the next tick when something is due within a minute; later needs are the timetable's."""
        with self.engine.store.begin() as connection:
            self._require(connection, found)
            due = rows.next_due(connection, found.solution.id.key, region)
            now = self.engine.now()
            if due is not None and due - now <= _SOON:
                self.order(connection, found, region, due=max(due, now + 1), after=slot)

    def order(self, connection: Connection, found: Subject, region: str, *, due: int, after: int = 0) -> None:
        """Order the tick of a time: times share a grid, so that orders from different sides meet in one tick."""
        now = self.engine.now()
        grid = 1 if due - now <= 2_000 else 5 if due - now <= 30_000 else 15
        slot = -(-due // (grid * 1000)) * grid
        if slot <= after:
            slot = (after // grid + 1) * grid
        arguments = {"solution": str(found.solution.id), "account": found.target.account, "region": region, "slot": slot}
        self.enqueue(connection, found, arguments, f"{slot}", delay=max(0.0, slot - now / 1000))

    def enqueue(self, connection: Connection, found: Subject, arguments: Mapping[str, Any], mark: str, *, delay: float = 0) -> None:
        """Queue one tick; `mark` makes its id unique within the solution and region."""
        region = arguments["region"]
        id = f"{TICK}:{found.solution.properties['solutionId']}:{region}:{mark}"
        self.engine.jobs.enqueue(connection, TICK, id, arguments, delay_seconds=delay, partition=f"{found.target.account}/{region}")

    def _place(self, found: Subject, region: str) -> commands.Place:
        parameters = commands.shared_parameters(
            endpoint=self.machines.public_url,
            ca=self.ca,
            subscription=found.connector.id.subscription,
            group=places.group_name(found.target.account),
            location=places.location_of(region, found.connector.location),
            tenant=self.machines.tenant,
            proxy=found.settings.get("proxyServer", ""),
        )
        return commands.Place(target=found.target, region=region, parameters=parameters)

    def _require(self, connection: Connection, found: Subject) -> None:
        if not lookup.keep(connection, found.solution.id.key):
            raise Gone


def _is_stale(due: Sequence[InstanceRow], now: int, fresh: int) -> bool:
    """Whether a row's decision needs a newer look: idle rows always, those under way once they take long."""
    return any(
        row.seen_at < now - (_SOON // 2 if row.in_flight else fresh) and (not row.in_flight or row.since < now - _LATE) for row in due
    )


def _enrolled(connection: Connection, known: Mapping[str, InstanceRow]) -> set[str]:
    """Rows whose machine has enrolled: the proof is here, so nobody needs to ask for the command."""
    standings = registration.of_machines(connection, {row.machine for row in known.values() if row.in_flight})
    return {row.key for row in known.values() if row.machine in standings and standings[row.machine]["state"] == registration.ENROLLED}


def _standings(connection: Connection, known: Mapping[str, InstanceRow], now: int) -> dict[str, Standing]:
    """Registrations of the rows' machines, by machine key."""
    found = registration.of_machines(connection, {row.machine for row in known.values()})
    open_: set[str] = set()
    ids = sorted({row["window_id"] for row in found.values() if row["window_id"]})
    for start in range(0, len(ids), 400):
        chosen = (window_rows.c.id.in_(ids[start : start + 400]), window_rows.c.state == "open", window_rows.c.expires_at > now)
        open_.update(connection.execute(select(window_rows.c.id).where(*chosen)).scalars())
    return {key: _standing(row, open_, now) for key, row in found.items()}


def _standing(row: RowMapping, open_: set[str], now: int) -> Standing:
    over = row["state"] == registration.ENROLLED and row["expires_at"] <= now
    return Standing(
        state=registration.EXPIRED if over else row["state"],
        vm_id=row["vm_id"],
        silent=row["silent_since"] is not None,
        window_open=row["window_id"] is None or row["window_id"] in open_,
        expires_at=row["expires_at"] or 0,
    )
