"""The state machine of one instance, pure: what is known and what was observed give the next state and what to do.

It is level-triggered. Each rule looks at what is, never at which step came before, and the first rule that applies decides; so a lost
message, a crash or a repeated observation changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from isthmus.arm.envelope import instant
from isthmus.clouds.contract import Invocation
from isthmus.machines.publickey import KeyParseError, PublicKey, parse_public_key
from isthmus.solutions.onboard import rows
from isthmus.solutions.onboard.codes import CODES, MINUTE, retry_at
from isthmus.solutions.onboard.outcomes import Failure, failure_of, is_running, tail_of
from isthmus.solutions.onboard.rows import NEVER, InstanceRow

Act = Literal["", "genkey", "register", "connect"]

SSM_PATIENCE = 65 * MINUTE
"""How long an SSM agent may take to register: its longest back-off is an hour."""
RUN_LIMIT = 14 * MINUTE
"""A command that has not ended by then never will: two minutes for delivery, ten for the document, and some."""
UNSENT_LIMIT = 10 * MINUTE
MISSING_LIMIT = MINUTE // 2
"""SSM lists an invocation at most this long after the command."""
VERIFY_LIMIT = 10 * MINUTE
SLOW_LOOK = 5 * MINUTE
_GONE = frozenset({"gone", "terminated", "shutting-down"})
_STOPPED = frozenset({"stopped", "stopping"})
_OBSERVABLE = frozenset({"NO_PROFILE", "IMDS_DISABLED", "SSM_NOT_REGISTERED"})
_PARKED = frozenset({"AGENT_DISCONNECTED", "MACHINE_REMOVED"})
_NEW_KEY = frozenset({"KEY_MISMATCH", "WINDOW_EXPIRED", "VERIFY_TIMEOUT", "EXPIRED"})
_NEW_KEY_EXITS = frozenset({62, 81, 104})
_UNREACHED = 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The registration of the instance's machine. `window_open`: the registered key may still enrol (true where no window bounds it)."""

    state: str
    vm_id: str = ""
    silent: bool = False
    window_open: bool = True
    expires_at: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What was found out for this step, beside what the cloud said of the instance (that is in the row).

    `polled`: the cloud was asked for the row's command; `invocation` is its answer. `used` is the highest generation that had a window.
    `retry` and `release` are a person's word: try again now, and leave quarantine. `before_start`: what is under way was begun before this
    process started.
    """

    standing: Standing | None = None
    polled: bool = False
    invocation: Invocation | None = None
    used: int = 0
    retry: bool = False
    release: bool = False
    before_start: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The row as it should be, and what is to be done for it; `key` comes with `register`."""

    row: InstanceRow
    act: Act = ""
    key: PublicKey | None = None


Rule = Callable[[InstanceRow, Observed, int], Step | None]


def next_step(row: InstanceRow, observed: Observed, now: int) -> Step:
    """The next step of an instance at `now` (epoch milliseconds). Raises nothing; the same input gives the same step."""
    for rule in _RULES:
        step = rule(row, observed, now)
        if step is not None:
            return step
    raise AssertionError("the last rule always applies")


def moved(row: InstanceRow, state: str, code: str, next_at: int, now: int, evidence: Mapping[str, Any] | None = None) -> InstanceRow:
    """The row in a state; what it waits for is forgotten unless the state goes on, and `since` stays while state and code do."""
    same = (row.state, row.code) == (state, code)
    going = same and row.in_flight
    return replace(
        row,
        state=state,
        code=code,
        evidence=dict(evidence or {}),
        since=row.since if same else now,
        next_at=next_at,
        batch=row.batch if going else "",
        command_id=row.command_id if going else "",
    )


def failed(row: InstanceRow, failure: Failure, now: int) -> InstanceRow:
    """The row after an attempt that failed: blocked until its class allows the next try, or quarantined."""
    attempts = row.attempts + 1
    evidence = {"instance": row.instance_id, **failure.evidence}
    if CODES[failure.code].kind == "S":
        return replace(moved(row, rows.QUARANTINED, failure.code, NEVER, now, evidence), attempts=attempts)
    again = retry_at(failure.code, attempts, now, row.key)
    # A second failure with the same code is a new event: `since` says when it happened.
    return replace(moved(row, rows.BLOCKED, failure.code, again, now, evidence), attempts=attempts, since=now)


def _gone(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    if row.seen.state not in _GONE:
        return None
    if row.state == rows.REMOVED:
        return Step(row=row)
    standing = observed.standing
    evidence = {"state": row.seen.state, "machineKept": standing is not None and standing.state != "pending"}
    if standing is not None and standing.state == "pending":
        return Step(row=moved(row, rows.OFFBOARDING, "INSTANCE_TERMINATED", now + MINUTE, now, evidence))
    return Step(row=moved(row, rows.REMOVED, "INSTANCE_TERMINATED", NEVER, now, evidence))


def _joined(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    """An enrolled machine is what its heartbeats say, whatever filters say now; nothing takes it away."""
    standing = observed.standing
    if standing is None or standing.state != "enrolled":
        return None
    if not standing.silent:
        return Step(row=replace(moved(row, rows.CONNECTED, "", NEVER, now), attempts=0))
    if row.seen.state in _STOPPED:
        return Step(row=moved(row, rows.STOPPED, "INSTANCE_STOPPED", now + SLOW_LOOK, now, {"state": row.seen.state}))
    online = row.seen.ping == "Online"
    cause = (
        "Systems Manager reaches the instance, so the agent's service is down: restart himds."
        if online
        else "Systems Manager does not reach the instance either: look at its network."
    )
    return Step(row=moved(row, rows.DISCONNECTED, "HEARTBEAT_LOST", now + SLOW_LOOK, now, {"cause": cause, "ping": row.seen.ping}))


def _parked(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    """What a person ended is not brought back unless a person says so."""
    if row.in_flight or observed.retry:
        return None
    if observed.standing is not None and observed.standing.state == "left":
        return Step(row=moved(row, rows.BLOCKED, "AGENT_DISCONNECTED", _look(row, "AGENT_DISCONNECTED", now), now))
    ended = row.state in (rows.CONNECTED, rows.DISCONNECTED) or row.code == "MACHINE_REMOVED"
    if ended and observed.standing is None:
        return Step(row=moved(row, rows.BLOCKED, "MACHINE_REMOVED", _look(row, "MACHINE_REMOVED", now), now))
    return None


def _look(row: InstanceRow, code: str, now: int) -> int:
    return row.next_at if row.code == code and now < row.next_at < NEVER else retry_at(code, 1, now, row.key)


def _expired(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    """A registration that ended is made anew; the history says why."""
    standing = observed.standing
    if standing is None or standing.state != "expired" or row.state not in (rows.CONNECTED, rows.DISCONNECTED):
        return None
    evidence = {"expiredAt": instant(standing.expires_at)}
    return Step(row=moved(row, rows.BLOCKED, "EXPIRED", now + 1_000, now, evidence))


def _excluded(row: InstanceRow, _observed: Observed, now: int) -> Step | None:
    if not row.seen.exclusion:
        return None
    evidence = {"rule": row.seen.rule, "region": row.region}
    return Step(row=moved(row, rows.EXCLUDED, row.seen.exclusion, NEVER, now, evidence))


def _stopped(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    """A stop parks what had begun; what had not begun waits for the instance to run."""
    state = row.seen.state
    if state == "running":
        return None
    begun = observed.standing is not None or row.in_flight or row.state == rows.STOPPED
    if state in _STOPPED and begun:
        return Step(row=moved(row, rows.STOPPED, "INSTANCE_STOPPED", now + SLOW_LOOK, now, {"state": state}))
    again = now + (SLOW_LOOK if state in _STOPPED else 5_000)
    return Step(row=moved(row, rows.EXCLUDED, "FILTERED_STATE", again, now, {"state": state}))


def _quarantined(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    if row.state != rows.QUARANTINED:
        return None
    if not observed.release:
        return Step(row=row)
    return _manageable(replace(row, generation=row.generation + 1), observed, now)


def _keygen(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    if row.state != rows.KEYGEN:
        return None
    pending = _command(row, observed, now, "genkey")
    if pending is not None:
        return pending
    assert observed.invocation is not None
    try:
        key = parse_public_key(observed.invocation.output)
    except KeyParseError as error:
        evidence = {"message": str(error), "reason": error.reason, "tail": tail_of(observed.invocation.output)}
        return Step(row=failed(row, Failure(code="KEY_PARSE", evidence=evidence), now))
    return Step(row=row, act="register", key=key)


def _connecting(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    if row.state not in (rows.CONNECTING, rows.VERIFYING):
        return None
    standing = observed.standing
    if standing is None or standing.state != "pending" or not standing.window_open:
        code = "VERIFY_TIMEOUT" if row.state == rows.VERIFYING else "WINDOW_EXPIRED"
        return Step(row=failed(row, Failure(code=code), now))
    if row.state == rows.CONNECTING:
        pending = _command(row, observed, now, "connect")
        return pending or Step(row=moved(row, rows.VERIFYING, "", now + 1_000, now))
    if now - row.since > VERIFY_LIMIT:
        return Step(row=failed(row, Failure(code="VERIFY_TIMEOUT"), now))
    return Step(row=replace(row, next_at=_patient(row.since, now, 1_000, 15_000)))


def _command(row: InstanceRow, observed: Observed, now: int, action: str) -> Step | None:
    """Where the row's command stands, as a step; None when it succeeded."""
    age = now - row.since
    if not row.command_id:
        if age > UNSENT_LIMIT:
            return Step(row=failed(row, Failure(code=row.code or "AWS_ERROR", evidence=row.evidence), now))
        return Step(row=row)
    waiting = Step(row=replace(row, next_at=_patient(row.since, now, 1_000, 15_000)))
    if not observed.polled:
        return waiting
    if observed.invocation is None:
        return waiting if age <= MISSING_LIMIT else Step(row=failed(row, Failure(code="INVOCATION_MISSING"), now))
    if is_running(observed.invocation):
        late = Failure(code="SSM_EXEC_TIMEOUT", evidence={"tail": tail_of(observed.invocation.output)})
        return waiting if age <= RUN_LIMIT else Step(row=failed(row, late, now))
    failure = failure_of(observed.invocation, action, row.machine)
    if failure is None:
        return None
    if observed.before_start and failure.evidence.get("exit") == _UNREACHED:
        # It is we who were not there: no reason to suspect the machine's network, nor to wait.
        evidence = {"instance": row.instance_id, **failure.evidence}
        return Step(row=moved(row, rows.BLOCKED, "CONTROL_PLANE_AWAY", now + 1_000, now, evidence))
    return Step(row=failed(row, failure, now))


def _blocked(row: InstanceRow, observed: Observed, now: int) -> Step | None:
    """A failure waits for its time; conditions that observation shows are judged anew each time."""
    if row.state != rows.BLOCKED or row.code in _OBSERVABLE or observed.retry or now >= row.next_at:
        return None
    return Step(row=row)


def _manageable(row: InstanceRow, observed: Observed, now: int) -> Step:
    """An instance that may be onboarded and for which nothing is under way: begin, or say what Systems Manager lacks."""
    seen = row.seen
    if seen.ping == "Online":
        return _begin(row, observed, now)
    known = {"instance": row.instance_id, "ping": seen.ping, "lastPing": seen.last_ping}
    if seen.ping:
        return _wait(row, rows.SSM_WAIT, "SSM_CONNECTION_LOST", known, now)
    if not seen.imds:
        return _wait(row, rows.BLOCKED, "IMDS_DISABLED", known, now)
    if not seen.profile:
        return _wait(row, rows.BLOCKED, "NO_PROFILE", known, now)
    late = row.code == "SSM_NOT_REGISTERED" or (row.code == "SSM_BACKOFF" and now - row.since > SSM_PATIENCE)
    if late:
        return _wait(row, rows.BLOCKED, "SSM_NOT_REGISTERED", known, now)
    since = row.since if row.code == "SSM_BACKOFF" else now
    return _wait(row, rows.SSM_WAIT, "SSM_BACKOFF", known | {"until": instant(since + SSM_PATIENCE)}, now)


def _wait(row: InstanceRow, state: str, code: str, evidence: Mapping[str, Any], now: int) -> Step:
    since = row.since if (row.state, row.code) == (state, code) else now
    return Step(row=moved(row, state, code, _patient(since, now, 2_000), now, evidence))


def _begin(row: InstanceRow, observed: Observed, now: int) -> Step:
    """Connect again while the registered key may still enrol; otherwise ask for a key, a new one when the last had its window."""
    standing = observed.standing
    same_key = row.code not in _NEW_KEY and row.evidence.get("exit") not in _NEW_KEY_EXITS
    if standing is not None and standing.state == "pending" and standing.window_open and same_key:
        state, act = rows.CONNECTING, "connect"
    else:
        state, act = rows.KEYGEN, "genkey"
        row = replace(row, generation=max(row.generation, observed.used + 1))
    begun = replace(moved(replace(row, state="", code=""), state, "", now, now), sends=row.sends + 1)
    return Step(row=begun, act="connect" if act == "connect" else "genkey")


def _patient(since: int, now: int, shortest: int, longest: int = SLOW_LOOK) -> int:
    """When to look again: soon at first, then ever more rarely."""
    return now + min(max((now - since) // 5, shortest), longest)


_RULES: tuple[Rule, ...] = (
    _gone,
    _joined,
    _parked,
    _expired,
    _excluded,
    _stopped,
    _quarantined,
    _keygen,
    _connecting,
    _blocked,
    _manageable,
)
