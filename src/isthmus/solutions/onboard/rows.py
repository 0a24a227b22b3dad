"""Instances as rows: what the cloud said of each, where its onboarding stands, and its history."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from isthmus.machines import windows
from isthmus.store import dialect
from isthmus.store.tables import instance_events, instances, resources

DISCOVERED = "DISCOVERED"
EXCLUDED = "EXCLUDED"
SSM_WAIT = "SSM_WAIT"
KEYGEN = "KEYGEN"
CONNECTING = "CONNECTING"
VERIFYING = "VERIFYING"
CONNECTED = "CONNECTED"
DISCONNECTED = "DISCONNECTED"
BLOCKED = "BLOCKED"
STOPPED = "STOPPED"
QUARANTINED = "QUARANTINED"
OFFBOARDING = "OFFBOARDING"
REMOVED = "REMOVED"

STATES = (
    DISCOVERED,
    EXCLUDED,
    SSM_WAIT,
    KEYGEN,
    CONNECTING,
    VERIFYING,
    CONNECTED,
    DISCONNECTED,
    BLOCKED,
    STOPPED,
    QUARANTINED,
    OFFBOARDING,
    REMOVED,
)
IN_FLIGHT = frozenset({KEYGEN, CONNECTING, VERIFYING})
NEVER = 9_999_999_999_999
"""`next_at` of rows that only news from the cloud moves."""

_CHUNK = 400
_COLUMNS = tuple(column.name for column in instances.c)
_OBSERVED = ("observed", "seen_at", "launch_time", "solution")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the cloud said of an instance. `state` is EC2's word, `gone` when it is not listed; `ping` is empty for what SSM never saw.

    `exclusion` is the code of the rule that leaves it out, with the rule in `rule`.
    """

    state: str
    ping: str = ""
    last_ping: str = ""
    profile: str = ""
    imds: bool = True
    platform: str = "linux"
    exclusion: str = ""
    rule: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceRow:
    """One instance and the state of its onboarding; times in epoch milliseconds. `machine` is the key of the machine resource."""

    key: str
    account: str
    region: str
    instance_id: str
    solution: str
    machine: str
    seen: Seen
    state: str = DISCOVERED
    code: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 1
    attempts: int = 0
    launch_time: str = ""
    batch: str = ""
    command_id: str = ""
    sends: int = 0
    since: int = 0
    next_at: int = 0
    seen_at: int = 0

    @property
    def in_flight(self) -> bool:
        """Whether a command or an enrolment of it is under way."""
        return self.state in IN_FLIGHT


def key_of(account: str, region: str, instance_id: str) -> str:
    """The key of an instance's row."""
    return f"{account}/{region}/{instance_id}"


def of_region(connection: Connection, solution: str, region: str, *, due: int | None = None) -> list[InstanceRow]:
    """Rows of a solution in a region, in the order of their keys; only those whose time has come when `due` is given."""
    wanted = [instances.c.solution == solution, instances.c.region == region]
    if due is not None:
        wanted.append(instances.c.next_at <= due)
    return [read(row._mapping) for row in connection.execute(select(instances).where(*wanted).order_by(instances.c.key))]


def of_solution(connection: Connection, solution: str) -> list[InstanceRow]:
    """Every row of a solution, in the order of instance ids."""
    wanted = select(instances).where(instances.c.solution == solution).order_by(instances.c.instance_id, instances.c.key)
    return [read(row._mapping) for row in connection.execute(wanted)]


def stale_places(connection: Connection, before: int) -> list[tuple[str, str, str]]:
    """Solution, account and region of rows whose time came before an instant and that nothing has looked at since."""
    columns = (instances.c.solution, instances.c.account, instances.c.region)
    found = connection.execute(select(*columns).where(instances.c.next_at < before).distinct().order_by(*columns))
    return [(row.solution, row.account, row.region) for row in found]


def counts(connection: Connection, solution: str) -> dict[tuple[str, str], int]:
    """How many rows of a solution are in each state and code."""
    columns = (instances.c.state, instances.c.code)
    found = connection.execute(select(*columns, func.count()).where(instances.c.solution == solution).group_by(*columns))
    return {(state, code): int(number) for state, code, number in found}


def next_due(connection: Connection, solution: str, region: str) -> int | None:
    """When the earliest row of a region wants to be looked at; None when none does."""
    wanted = (instances.c.solution == solution, instances.c.region == region, instances.c.next_at < NEVER)
    found = connection.execute(select(func.min(instances.c.next_at)).where(*wanted)).scalar()
    return None if found is None else int(found)


def machine_ids(connection: Connection, solution: str) -> dict[str, str]:
    """The ids of the machine resources that exist for a solution's rows, by key."""
    joined = select(resources.c.key, resources.c.id).join(instances, instances.c.machine == resources.c.key)
    return {row.key: row.id for row in connection.execute(joined.where(instances.c.solution == solution))}


def regions_of(connection: Connection, solution: str) -> set[str]:
    """Regions in which a solution has rows."""
    return set(connection.execute(select(instances.c.region).where(instances.c.solution == solution).distinct()).scalars())


def wake(connection: Connection, machines: Collection[str], now: int) -> None:
    """Look again at the instances of these machine resources."""
    keys = sorted(machines)
    for start in range(0, len(keys), _CHUNK):
        part = instances.c.machine.in_(keys[start : start + _CHUNK])
        connection.execute(update(instances).where(part, instances.c.next_at > now, instances.c.state != REMOVED).values(next_at=now))


def observe(connection: Connection, fresh: Iterable[InstanceRow]) -> None:
    """Write what the cloud said: new rows are made, of known ones nothing but the observation changes.

    A new row's generation begins above every one that had a window, so that no key or window of an earlier life counts.
    """
    rows = {row.key: row for row in sorted(fresh, key=lambda row: row.key)}
    known = _known(connection, rows)
    highest = windows.generations(connection, [key for key in rows if key not in known])
    written = [_write(replace(row, generation=highest.get(key, 0) + 1)) for key, row in rows.items()]
    kept = [column.name for column in instances.c if column.name not in _OBSERVED]
    for start in range(0, len(written), _CHUNK):
        dialect.upsert(connection, instances, written[start : start + _CHUNK], keep=kept)


def save(connection: Connection, changed: Iterable[InstanceRow], before: Mapping[str, InstanceRow]) -> None:
    """Write where the onboarding of rows stands, and a line of history for each whose state or code is another than before."""
    rows = sorted(changed, key=lambda row: row.key)
    for start in range(0, len(rows), _CHUNK):
        dialect.upsert(connection, instances, [_write(row) for row in rows[start : start + _CHUNK]], keep=_OBSERVED)
    events = [
        {
            "id": uuid4().hex,
            "instance_key": row.key,
            "at": row.since,
            "state": row.state,
            "code": row.code,
            "evidence": json.dumps(dict(row.evidence)),
        }
        for row in rows
        if (old := before.get(row.key)) is None or (old.state, old.code) != (row.state, row.code)
    ]
    if events:
        connection.execute(insert(instance_events), events)


def delete_old(connection: Connection, solution: str, before: int) -> None:
    """Forget removed instances of a solution, and everybody's history, from before an instant."""
    connection.execute(delete(instance_events).where(instance_events.c.at < before))
    gone = select(instances.c.key).where(instances.c.solution == solution, instances.c.state == REMOVED, instances.c.since < before)
    connection.execute(delete(instance_events).where(instance_events.c.instance_key.in_(gone)))
    connection.execute(delete(instances).where(instances.c.key.in_(gone)))


def forget(connection: Connection, solutions: Collection[str]) -> None:
    """What ends with solution configurations: their instances and the history of these."""
    mine = select(instances.c.key).where(instances.c.solution.in_(solutions))
    connection.execute(delete(instance_events).where(instance_events.c.instance_key.in_(mine)))
    connection.execute(delete(instances).where(instances.c.solution.in_(solutions)))


def _known(connection: Connection, keys: Collection[str]) -> set[str]:
    listed = sorted(keys)
    found: set[str] = set()
    for start in range(0, len(listed), _CHUNK):
        found.update(connection.execute(select(instances.c.key).where(instances.c.key.in_(listed[start : start + _CHUNK]))).scalars())
    return found


def read(found: RowMapping) -> InstanceRow:
    """The row that a result holds, by names of columns; it may hold more."""
    values = {name: found[name] for name in _COLUMNS}
    seen = Seen(**json.loads(values.pop("observed")))
    evidence = json.loads(values.pop("evidence"))
    return InstanceRow(seen=seen, evidence=evidence, **values)


def _write(row: InstanceRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in InstanceRow.__slots__}
    seen: Seen = values.pop("seen")
    observed = {name: getattr(seen, name) for name in Seen.__slots__}
    return values | {"observed": json.dumps(observed), "evidence": json.dumps(dict(row.evidence))}
