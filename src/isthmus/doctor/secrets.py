"""Keys and certificates: there, ours alone, readable, the ones that are published, and valid for long enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from isthmus.arm.errors import ArmError
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import ELSEWHERE, Patient
from isthmus.keys.examination import CertificateState, access_faults, authority_state, days_left, key_ages, key_faults, server_state

ACCESS, SIGNING, AGE, AUTHORITY, SERVER = "key files", "signing keys", "key age", "local CA", "server certificate"
_DAY = 86_400_000
# A key gives way after 90 days, hourly looked at; a server that was off for some days is no reason to warn.
_DUE, _LATE = 90 * _DAY, 95 * _DAY
_SOON = 30
_RESTART = "Restart the server: it makes a new one."


def examine(patient: Patient) -> Iterator[Finding]:
    """Nothing private is printed, and nothing is made or renewed."""
    checks = (ACCESS, SIGNING, AGE, AUTHORITY, SERVER)
    if patient.is_elsewhere:
        yield from (unchecked(check, ELSEWHERE) for check in checks)
    elif not patient.keys.is_dir():
        yield from (unchecked(check, "There are no keys yet: the first start of the server makes them.") for check in checks)
    else:
        yield from _files(patient)
        yield _age(patient)
        yield _authority(patient)
        yield _server(patient)


def _files(patient: Patient) -> Iterator[Finding]:
    open_files = list(access_faults(patient.keys))
    yield from (failed(ACCESS, fault.problem, fault.remedy) for fault in open_files)
    if not open_files:
        yield ok(ACCESS, f"'{patient.keys}', for its owner alone")
    broken = list(key_faults(patient.keys))
    for fault in broken:
        yield (warning if fault.heals else failed)(SIGNING, fault.problem, fault.remedy)
    if not broken:
        yield ok(SIGNING, "each private half fits what is published")


def _age(patient: Patient) -> Finding:
    now = int(patient.probes.clock() * 1000)
    found = list(key_ages(patient.keys))
    late = [one for one in found if now - one.created_at > _LATE]
    if late:
        told = ", ".join(f"'{one.purpose}' for {(now - one.created_at) // _DAY} days" for one in late)
        for_aws = any(one.purpose == "aws" for one in late)
        remedy = "Run the server: it looks hourly, and its log says what holds a key up."
        more = (
            " The key for AWS waits until AWS knows the next one: publish what 'isthmus issuer export' writes, then: isthmus issuer drill"
        )
        return warning(AGE, f"Keys should sign for 90 days and sign for longer: {told}.", remedy + (more if for_aws else ""))
    if not found:
        return unchecked(AGE, "No keys can be read; see the check 'signing keys'.")
    due = min(one.created_at for one in found) + _DUE
    return ok(AGE, f"{max(0, (now - (due - _DUE)) // _DAY)} days at most; the next rotation is due on {_date(due)}")


def _authority(patient: Patient) -> Finding:
    try:
        state = authority_state(patient.keys)
    except ArmError as error:
        return failed(AUTHORITY, error.message, "Restore the key folder from a backup, or delete this file and start the server.")
    if state.fault:
        return failed(
            AUTHORITY, f"'{state.file}': {state.fault}", "Restore both files from one backup, or delete both and start the server."
        )
    return _judged(AUTHORITY, state, patient, "Restart the server, and give clients and machines the new file.")


def _server(patient: Patient) -> Finding:
    try:
        state = server_state(patient.keys)
    except ArmError as error:
        return warning(SERVER, error.message, _RESTART)
    if state.fault:
        return failed(SERVER, f"'{state.file}': {state.fault}", _RESTART)
    return _judged(SERVER, state, patient, _RESTART)


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def _judged(check: str, state: CertificateState, patient: Patient, remedy: str) -> Finding:
    days = days_left(state, patient.probes.clock())
    if days < 0:
        return failed(check, f"It ended on {state.until:%Y-%m-%d}.", remedy)
    if days < _SOON:
        return warning(check, f"It ends on {state.until:%Y-%m-%d}, in {days} days.", remedy)
    named = f" for {', '.join(state.names)}" if state.names else ""
    return ok(check, f"valid until {state.until:%Y-%m-%d}{named}")
