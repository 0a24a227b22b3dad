"""Who is believed: only the registered key, over our fresh nonce, for this machine, here, once, in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.identity.principal import Principal
from isthmus.machines.windows import MILLISECONDS
from isthmus.store.tables import audit_records, challenges, registrations, resource_changes
from tests.machines.plane import TENANT, TESTER, URL, Keys, Plane
from tests.support.clock import Clock

FACTS = {"osName": "linux", "osVersion": "6.1", "agentVersion": "1.0", "machineFqdn": "a.test", "detectedProperties": {"model": "t3"}}


@pytest.fixture
def machine(plane: Plane, keys: Keys) -> str:
    return plane.register("i-1", keys[0])


def test_a_machine_that_signs_our_nonce_is_connected(plane: Plane, keys: Keys, machine: str) -> None:
    answer = plane.enrol("i-1", machine, keys[0], FACTS)
    assert answer["resourceId"] == str(plane.id_of("i-1"))
    assert (answer["clientId"], answer["tenantId"], answer["heartbeatSeconds"]) == (machine, TENANT, 300)
    assert answer["tokenEndpoint"] == f"{URL}/{TENANT}/oauth2/v2.0/token"
    properties = plane.properties("i-1")
    assert properties["status"] == "Connected"
    assert (properties["osVersion"], properties["agentVersion"], properties["detectedProperties"]) == ("6.1", "1.0", {"model": "t3"})


def test_enrolling_again_answers_the_same(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    first = plane.enrol("i-1", machine, keys[0])
    clock.advance(3600)
    assert plane.enrol("i-1", machine, keys[0]) == first


Attack = Callable[[Plane, Keys, str], dict[str, Any]]


def _said(**claims: Any) -> Attack:
    return lambda plane, keys, vm_id: {"statement": plane.statement("i-1", vm_id, keys[0], **claims)}


def _replayed(plane: Plane, keys: Keys, vm_id: str) -> dict[str, Any]:
    body = {"statement": plane.statement("i-1", vm_id, keys[0])}
    plane.machines.enrol(body)
    return body


def _nonce_again(plane: Plane, keys: Keys, vm_id: str) -> dict[str, Any]:
    nonce = plane.machines.challenge({"vmId": vm_id})["nonce"]
    plane.machines.enrol({"statement": plane.statement("i-1", vm_id, keys[0], nonce=nonce)})
    return {"statement": plane.statement("i-1", vm_id, keys[0], nonce=nonce, jti=2)}


def _nonce_late(plane: Plane, keys: Keys, vm_id: str) -> dict[str, Any]:
    nonce = plane.machines.challenge({"vmId": vm_id})["nonce"]
    plane.clock.advance(600)
    return {"statement": plane.statement("i-1", vm_id, keys[0], nonce=nonce)}


def _nonce_of_another(plane: Plane, keys: Keys, vm_id: str) -> dict[str, Any]:
    nonce = plane.machines.challenge({"vmId": plane.register("i-2", keys[1])})["nonce"]
    return {"statement": plane.statement("i-1", vm_id, keys[0], nonce=nonce)}


def _as_another(plane: Plane, keys: Keys, _vm_id: str) -> dict[str, Any]:
    other = plane.register("i-2", keys[1])
    return {"statement": plane.statement("i-2", other, keys[0])}


def _window_over(plane: Plane, keys: Keys, vm_id: str) -> dict[str, Any]:
    plane.clock.advance(MILLISECONDS / 1000)
    return {"statement": plane.statement("i-1", vm_id, keys[0])}


ATTACKS: dict[str, tuple[Attack, int, str]] = {
    "wrong key": (lambda plane, keys, vm_id: {"statement": plane.statement("i-1", vm_id, keys[2])}, 409, "KeyMismatch"),
    "machine of another key": (_as_another, 409, "KeyMismatch"),
    "replayed statement": (_replayed, 401, "InvalidChallenge"),
    "nonce used twice": (_nonce_again, 401, "InvalidChallenge"),
    "nonce after its time": (_nonce_late, 401, "InvalidChallenge"),
    "nonce of another machine": (_nonce_of_another, 401, "InvalidChallenge"),
    "nonce of our own making": (_said(nonce="made-up"), 401, "InvalidChallenge"),
    "foreign vmId": (_said(iss="x", sub="11111111-1111-4111-8111-111111111111"), 404, "MachineNotRegistered"),
    "vmId of nobody": (_said(sub=None), 404, "MachineNotRegistered"),
    "issuer of another": (_said(iss="11111111-1111-4111-8111-111111111111"), 401, "InvalidAuthenticationToken"),
    "another audience": (_said(aud=f"{URL}/agent/v1/renew"), 401, "InvalidAuthenticationToken"),
    "another plane": (_said(aud="https://evil.test/agent/v1/enrol"), 401, "InvalidAuthenticationToken"),
    "another resource": (_said(resourceId="/subscriptions/x"), 401, "InvalidAuthenticationToken"),
    "another tenant": (_said(tenantId="x"), 401, "InvalidAuthenticationToken"),
    "another kind": (_said(kind="JWT"), 401, "InvalidAuthenticationToken"),
    "renewal as enrolment": (_said(kind="isthmus-renew+jwt"), 401, "InvalidAuthenticationToken"),
    "too long a life": (_said(exp=1_767_225_600 + 301), 401, "InvalidAuthenticationToken"),
    "expired": (_said(iat=1_767_225_000, exp=1_767_225_200), 401, "InvalidAuthenticationToken"),
    "no tenant": (_said(tenantId=None), 401, "InvalidAuthenticationToken"),
    "extra claim": (_said(roles=["Owner"]), 401, "InvalidAuthenticationToken"),
    "no token": (lambda *_: {"statement": "nonsense"}, 401, "InvalidAuthenticationToken"),
    "no statement": (lambda *_: {}, 400, "InvalidRequestContent"),
    "endless statement": (lambda *_: {"statement": "x" * 9000}, 400, "InvalidRequestContent"),
    "window over": (_window_over, 403, "EnrolmentWindowClosed"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_else_is_believed(plane: Plane, keys: Keys, machine: str, name: str) -> None:
    attack, status, code = ATTACKS[name]
    body = attack(plane, keys, machine)
    before = plane.properties("i-1")
    with pytest.raises(ArmError) as refusal:
        plane.machines.enrol(body)
    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert plane.properties("i-1") == before


def test_refusals_of_registered_machines_are_on_record(plane: Plane, keys: Keys, machine: str) -> None:
    with pytest.raises(ArmError):
        plane.machines.enrol({"statement": plane.statement("i-1", machine, keys[1])})
    with plane.store.read() as connection:
        rows = connection.execute(select(audit_records.c.action, audit_records.c.target).where(audit_records.c.outcome == "refused")).all()
    assert rows == [("Microsoft.HybridCompute/machines/enrol", str(plane.id_of("i-1")))]


def test_a_refused_statement_leaves_the_nonce_good(plane: Plane, keys: Keys, machine: str) -> None:
    nonce = plane.machines.challenge({"vmId": machine})["nonce"]
    with pytest.raises(ArmError):
        plane.machines.enrol({"statement": plane.statement("i-1", machine, keys[1], nonce=nonce)})
    assert plane.machines.enrol({"statement": plane.statement("i-1", machine, keys[0], nonce=nonce)})


def test_of_concurrent_uses_of_one_nonce_one_succeeds(plane: Plane, keys: Keys, machine: str) -> None:
    nonce = plane.machines.challenge({"vmId": machine})["nonce"]
    bodies = [{"statement": plane.statement("i-1", machine, keys[0], nonce=nonce, jti=number)} for number in range(5)]
    barrier = threading.Barrier(len(bodies))
    outcomes: list[str] = []

    def enrol(body: dict[str, Any]) -> None:
        barrier.wait()
        try:
            plane.machines.enrol(body)
            outcomes.append("in")
        except ArmError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=enrol, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["InvalidChallenge"] * 4 + ["in"]


def test_challenges_are_bounded_and_expire(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    first = plane.machines.challenge({"vmId": machine})["nonce"]
    clock.advance(1)
    nonces = [plane.machines.challenge({"vmId": machine.upper()})["nonce"] for _ in range(40)]
    with plane.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(challenges)).scalar() == 32
    with pytest.raises(ArmError) as refusal:
        plane.machines.enrol({"statement": plane.statement("i-1", machine, keys[0], nonce=first)})
    assert refusal.value.code == "InvalidChallenge", "the oldest went"
    assert plane.machines.enrol({"statement": plane.statement("i-1", machine, keys[0], nonce=nonces[-1])})


def test_challenges_of_strangers_never_write(plane: Plane, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane.store, "begin", lambda: pytest.fail("a transaction that writes was opened"))
    with pytest.raises(ArmError) as refusal:
        plane.machines.challenge({"vmId": "11111111-1111-4111-8111-111111111111"})
    assert refusal.value.code == "MachineNotRegistered"


def audited(plane: Plane) -> int:
    with plane.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(audit_records)).scalar() or 0)


def test_a_heartbeat_with_nothing_new_touches_one_row(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0], FACTS)
    principal, body = plane.principal("i-1", machine), {"agentVersion": "1.0", "facts": FACTS}
    before, records = plane.lookup.find(plane.id_of("i-1")), audited(plane)
    clock.advance(300)
    answer = plane.machines.heartbeat(principal, body)
    assert (answer["nextHeartbeatSeconds"], answer["renew"]) == (300, False)
    assert plane.lookup.find(plane.id_of("i-1")) == before
    assert audited(plane) == records
    with plane.store.read() as connection:
        assert connection.execute(select(registrations.c.last_heartbeat)).scalar() == int(clock() * 1000)
        told = select(resource_changes.c.at).where(resource_changes.c.at > int((clock() - 300) * 1000))
        assert connection.execute(told).first() is None


def test_a_heartbeat_with_news_changes_the_machine(plane: Plane, keys: Keys, machine: str) -> None:
    plane.enrol("i-1", machine, keys[0], FACTS)
    plane.machines.heartbeat(plane.principal("i-1", machine), {"agentVersion": "1.1", "facts": {**FACTS, "osVersion": "6.2"}})
    assert (plane.properties("i-1")["osVersion"], plane.properties("i-1")["agentVersion"]) == ("6.2", "1.1")


@pytest.mark.parametrize("facts", [{"osName": "x" * 300}, {"detectedProperties": {str(n): "" for n in range(70)}}, {"osVersion": 7}, []])
def test_oversized_and_odd_facts_are_refused(plane: Plane, keys: Keys, machine: str, facts: Any) -> None:
    plane.enrol("i-1", machine, keys[0])
    with pytest.raises(ArmError) as refusal:
        plane.machines.heartbeat(plane.principal("i-1", machine), {"agentVersion": "1", "facts": facts})
    assert refusal.value.status == 400


def test_facts_never_reach_what_is_not_theirs(plane: Plane, keys: Keys, machine: str) -> None:
    plane.enrol("i-1", machine, keys[0], {**FACTS, "vmId": "x", "status": "Error", "clientPublicKey": "y"})
    properties = plane.properties("i-1")
    assert (properties["vmId"], properties["status"], properties["clientPublicKey"]) == (machine, "Connected", keys[0].public)


def test_silence_shows_and_ends_with_a_heartbeat(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0], FACTS)
    clock.advance(15 * 60)
    assert plane.machines.mark_silent() == set()
    clock.advance(1)
    assert plane.machines.mark_silent() == {plane.id_of("i-1").key}
    assert plane.machines.mark_silent() == set()
    assert plane.properties("i-1")["status"] == "Disconnected"
    plane.machines.heartbeat(plane.principal("i-1", machine), {"facts": FACTS, "agentVersion": "1.0"})
    assert plane.properties("i-1")["status"] == "Connected"


def test_renewal_is_asked_for_in_time_and_extends(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0], FACTS)
    principal, body = plane.principal("i-1", machine), {"agentVersion": "1.0", "facts": FACTS}
    clock.advance(44 * 86_400)
    assert not plane.machines.heartbeat(principal, body)["renew"]
    clock.advance(86_400)
    assert plane.machines.heartbeat(principal, body)["renew"]
    answer = plane.machines.renew(principal, renewal(plane, machine, keys[1], keys[0]))
    beat = plane.machines.heartbeat(principal, body)
    assert (beat["registrationExpiresAt"], beat["renew"]) == (answer["registrationExpiresAt"], False)
    with plane.store.read() as connection:
        row = connection.execute(select(registrations.c.public_key, registrations.c.next_public_key)).one()
    assert tuple(row) == (keys[0].public, keys[1].public)


def renewal(
    plane: Plane, vm_id: str, key: Any, present: Any, *, audience: str = f"{URL}/agent/v1/renew", leave: str = "", kind: str = "rekey"
) -> dict[str, str]:
    """The body of a renewal to `key` that `present` allows; `leave` is the hash of the key it allows instead."""
    said: dict[str, Any] = {"subject": vm_id, "audience": audience, "now": plane.clock()}
    return {
        "publicKey": key.public,
        "statement": key.statement(kind="isthmus-renew+jwt", **said),
        "authorization": present.statement(kind=f"isthmus-{kind}+jwt", **said, extra={"spki_sha256": leave or key.spki_sha256}),
    }


@pytest.fixture
def due(plane: Plane, keys: Keys, machine: str) -> Principal:
    """The caller of an enrolled machine whose registration is to be renewed."""
    plane.enrol("i-1", machine, keys[0])
    plane.clock.advance(45 * 86_400)
    return plane.principal("i-1", machine)


def test_renewal_needs_proof_of_the_new_key_and_a_key_of_its_own(plane: Plane, keys: Keys, machine: str, due: Principal) -> None:
    plane.register("i-2", keys[1])
    good = renewal(plane, machine, keys[2], keys[0])
    for body, code in (
        (good | {"statement": renewal(plane, machine, keys[0], keys[0])["statement"]}, "InvalidAuthenticationToken"),
        (renewal(plane, machine, keys[2], keys[0], audience=f"{URL}/agent/v1/enrol"), "InvalidAuthenticationToken"),
        (renewal(plane, machine, keys[1], keys[0]), "KeyReused"),
        (good | {"publicKey": "nonsense"}, "InvalidPublicKey"),
    ):
        with pytest.raises(ArmError) as refusal:
            plane.machines.renew(due, body)
        assert refusal.value.code == code
    first = plane.machines.renew(due, good)
    with pytest.raises(ArmError):
        plane.machines.renew(due, good)
    assert plane.machines.renew(due, renewal(plane, machine, keys[2], keys[0])) == first, "a lost answer costs a repetition"


def test_a_token_alone_renews_nothing(plane: Plane, keys: Keys, machine: str, due: Principal) -> None:
    good = renewal(plane, machine, keys[2], keys[0])
    for body in (
        renewal(plane, machine, keys[2], keys[2]),
        renewal(plane, machine, keys[2], keys[0], leave=keys[3].spki_sha256),
        renewal(plane, machine, keys[2], keys[0], kind="renew"),
        good | {"authorization": good["statement"]},
        {name: text for name, text in good.items() if name != "authorization"},
    ):
        with pytest.raises(ArmError) as refusal:
            plane.machines.renew(due, body)
        assert refusal.value.code in ("InvalidAuthenticationToken", "InvalidRequestContent")
    with plane.store.read() as connection:
        assert connection.execute(select(registrations.c.next_public_key)).scalar() is None
    assert plane.machines.renew(due, good), "nothing of it was used up"


def test_renewal_before_its_time_is_refused(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0])
    principal = plane.principal("i-1", machine)
    clock.advance(45 * 86_400 - 1)
    with pytest.raises(ArmError) as refusal:
        plane.machines.renew(principal, renewal(plane, machine, keys[1], keys[0]))
    assert (refusal.value.status, refusal.value.code) == (409, "RenewalNotDue")
    clock.advance(1)
    assert plane.machines.renew(principal, renewal(plane, machine, keys[1], keys[0]))
    with pytest.raises(ArmError) as refusal:
        plane.machines.renew(principal, renewal(plane, machine, keys[2], keys[0]))
    assert refusal.value.code == "RenewalNotDue"


def test_an_ended_registration_shows_and_needs_a_new_key(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0], FACTS)
    clock.advance(90 * 86_400)
    with pytest.raises(ArmError) as refusal:
        plane.machines.heartbeat(plane.principal("i-1", machine), {"facts": FACTS, "agentVersion": "1.0"})
    assert (refusal.value.status, refusal.value.code) == (403, "RegistrationNotValid")
    assert plane.machines.mark_silent() == {plane.id_of("i-1").key}
    assert plane.properties("i-1")["status"] == "Expired"
    assert plane.register("i-1", keys[1], generation=2) == machine
    plane.enrol("i-1", machine, keys[1])
    assert plane.properties("i-1")["status"] == "Connected"


def test_who_leaves_is_disconnected_and_gone(plane: Plane, keys: Keys, machine: str) -> None:
    plane.enrol("i-1", machine, keys[0])
    principal = plane.principal("i-1", machine)
    assert plane.machines.disconnect(principal) == {}
    assert plane.properties("i-1")["status"] == "Disconnected"
    with pytest.raises(ArmError) as refusal:
        plane.machines.heartbeat(principal, {})
    assert (refusal.value.status, refusal.value.code) == (410, "MachineGone")


def test_unused_windows_take_their_machines_along(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    clock.advance(MILLISECONDS / 1000)
    assert plane.machines.mark_silent() == {plane.id_of("i-1").key}
    assert plane.lookup.find(plane.id_of("i-1")) is None
    with pytest.raises(ArmError):
        plane.machines.challenge({"vmId": machine})


def test_a_machine_that_somebody_else_made_is_bare_again(plane: Plane, keys: Keys, clock: Clock) -> None:
    made = Resource(id=plane.id_of("i-1"), location="westeurope", properties={"osType": "linux"}, extra={"kind": "AWS"})
    plane.engine.apply(Change(puts=(made,)), TESTER, "test", "machine")
    plane.register("i-1", keys[0])
    clock.advance(MILLISECONDS / 1000)
    assert plane.machines.mark_silent() == {plane.id_of("i-1").key}
    assert plane.properties("i-1") == {"osType": "linux"}


def test_a_machine_with_more_to_it_is_bare_again(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    child = Resource(id=plane.id_of("i-1").extension("Microsoft.AwsConnector/ec2Instances", "default"), properties={"arn": "x"})
    plane.engine.apply(Change(puts=(child,)), TESTER, "test", "child")
    clock.advance(MILLISECONDS / 1000)
    plane.machines.mark_silent()
    assert not {"vmId", "clientPublicKey", "status"} & plane.properties("i-1").keys()
    assert plane.register("i-1", keys[1], generation=2) != machine


def test_a_machine_that_had_enrolled_outlives_a_new_window(plane: Plane, keys: Keys, machine: str, clock: Clock) -> None:
    plane.enrol("i-1", machine, keys[0])
    assert plane.register("i-1", keys[1], generation=2) == machine
    clock.advance(MILLISECONDS / 1000)
    assert plane.machines.mark_silent() == {plane.id_of("i-1").key}
    assert (plane.properties("i-1")["status"], plane.properties("i-1")["vmId"]) == ("Expired", machine)
    with pytest.raises(ArmError) as refusal:
        plane.machines.challenge({"vmId": machine})
    assert refusal.value.code == "MachineNotRegistered"
    plane.register("i-1", keys[2], generation=3)
    assert plane.enrol("i-1", machine, keys[2])["clientId"] == machine
