"""Claims for tokens under issue: who may ask, for whom, what is answered, and that everything unclear is an error."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from isthmus.access.claims import LONGEST_TAG, groups_tag
from isthmus.access.federation import ACCESS, CONFIGURATIONS, solution_key
from isthmus.access.leaving import offboard
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import subscription_id
from isthmus.engine import Engine
from isthmus.identity.trust import ENTRA_CALLER
from isthmus.solutions.access import SOLUTION
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.access.claiming import ALICE, APP, EXTENSION, V1, V2, Desk, call
from tests.access.estate import ADMIN, CONNECTOR, GROUP, GUID, mapping_id
from tests.fakes.jobs import RecordedJobs
from tests.lab.issuer import FakeIssuer

AWS = "https://aws.amazon.com"
DEV, OPS, ELSE = "g-dev", "g-ops", "g-else"


@pytest.fixture(scope="module")
def entra() -> Iterator[FakeIssuer]:
    with FakeIssuer("entra.idp.test") as made:
        yield made


@pytest.fixture
def desk(store: Store, entra: FakeIssuer) -> Desk:
    engine = Engine(store, RecordedJobs(), clock=time.time, new_guid=lambda: str(uuid.uuid4()))
    settings = SOLUTION.complete({"federation": "claims", "federationIssuer": V2, "federationClientId": APP, "claimsAudience": EXTENSION})
    profile = {"awsCloudProfile": {"accountId": "123456789012"}, "connectorPrimaryIdentifier": GUID}
    puts = (
        Resource(id=subscription_id(GROUP.subscription)),
        Resource(id=GROUP, location="eastus", properties={"provisioningState": "Succeeded"}),
        Resource(id=CONNECTOR, location="eastus", properties=profile),
        Resource(
            id=CONNECTOR.extension(CONFIGURATIONS, "access"),
            properties={"solutionType": ACCESS, "solutionSettings": settings},
            unique=solution_key(GUID, ACCESS),
        ),
        Resource(id=mapping_id("Reader"), properties={"groups": [DEV]}),
        Resource(id=mapping_id("Operator"), properties={"groups": [OPS, DEV]}),
        Resource(id=mapping_id("Root"), properties={"groups": ["g-root"]}),
    )
    engine.apply(Change(puts=puts), ADMIN, "setup", "/")
    made = Desk(engine, entra)
    made.directory.members[ALICE] = {DEV, ELSE}
    return made


def engine_of(desk: Desk) -> Engine:
    return desk.endpoint.provider.engine


def refused(desk: Desk, body: Any = None, **more: Any) -> tuple[int, str]:
    with pytest.raises(ArmError) as caught:
        desk.ask(body, **more)
    return caught.value.status, caught.value.code


def records(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    wanted = select(audit_records).where(audit_records.c.action == "Isthmus.Access/claims/provide").order_by(audit_records.c.seq)
    with engine_of(desk).store.read() as connection:
        return [(row.outcome, json.loads(row.detail)) for row in connection.execute(wanted)]


def test_claims_name_roles_person_and_the_groups_that_matter(desk: Desk) -> None:
    base = "arn:aws:iam::123456789012:role/IsthmusPerson"
    assert desk.ask() == {
        f"{AWS}/roles": [f"{base}-Operator-aa5f1c9e", f"{base}-Reader-aa5f1c9e"],
        f"{AWS}/source_identity": ALICE,
        f"{AWS}/tags/principal_tags/entra_oid": ALICE,
        f"{AWS}/tags/principal_tags/groups": f":{DEV}:",
        f"{AWS}/tags/transitive_tag_keys": ["entra_oid"],
    }
    [(outcome, detail)] = records(desk)
    assert (outcome, detail["groups"], len(detail["roles"])) == ("accepted", [DEV], 2)


def test_entra_calls_with_tokens_of_either_version_whatever_it_issues(desk: Desk) -> None:
    assert desk.ask(token=desk.token(iss=V1, azp=None, appid=ENTRA_CALLER))
    assert "https://sts.windows.net/" in desk.fetched[-2]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": [EXTENSION, "another"]},
        {"azp": "11111111-0000-0000-0000-000000000000"},
        {"azp": None},
        {"azp": ENTRA_CALLER, "appid": "11111111-0000-0000-0000-000000000000"},
        {"tid": "99999999-2222-3333-4444-555555555555"},
        {"tid": None},
        {"iss": "https://login.microsoftonline.com/99999999-2222-3333-4444-555555555555/v2.0"},
        {"exp": 1},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"sub": None},
    ],
)
def test_only_the_directory_itself_may_ask(desk: Desk, changes: dict[str, Any]) -> None:
    assert refused(desk, token=desk.token(**changes)) == (401, "InvalidAuthenticationToken")
    assert records(desk) == []


def test_forged_and_missing_tokens_are_refused(desk: Desk, entra: FakeIssuer) -> None:
    assert refused(desk, token="") == (401, "AuthenticationFailed")
    assert refused(desk, token="nonsense") == (401, "InvalidAuthenticationToken")
    assert refused(desk, token=desk.token()[:-6] + "AAAAAA") == (401, "InvalidAuthenticationToken")
    entra.new_key("evil", publish=False)
    assert refused(desk, token=desk.issuer.token(kid="evil", iss=V2, aud=EXTENSION)) == (401, "InvalidAuthenticationToken")
    assert refused(desk, guid=str(uuid.uuid4())) == (404, "ClaimsNotOffered")


def asked(desk: Desk, **how: Any) -> list[str]:
    """What the database is asked about resources in one call."""
    found: list[str] = []

    def note(*call: Any) -> None:
        found.extend([call[2]] if "resources" in call[2] else [])

    database = desk.endpoint.provider.engine.store.engine
    event.listen(database, "before_cursor_execute", note)
    try:
        refused(desk, **how)
    finally:
        event.remove(database, "before_cursor_execute", note)
    return found


def test_strangers_cost_nothing_and_a_wrong_address_one_look_into_an_index(desk: Desk) -> None:
    """However many connectors there are, and whatever their directories' metadata weighs."""
    assert asked(desk, token="") == []
    assert asked(desk, token="", guid=str(uuid.uuid4())) == []
    [one] = asked(desk, guid=str(uuid.uuid4()))
    assert "WHERE resources.unique_key =" in one
    assert refused(desk, token="", guid=str(uuid.uuid4())) == (401, "AuthenticationFailed")


def test_an_address_is_read_in_either_case_and_of_mode_claims_alone(desk: Desk) -> None:
    assert desk.ask(guid=GUID.upper())
    engine = desk.endpoint.provider.engine
    id = CONNECTOR.extension(CONFIGURATIONS, "access")
    broker = {"solutionType": ACCESS, "solutionSettings": SOLUTION.complete({})}
    engine.apply(Change(puts=(Resource(id=id, properties=broker, unique=solution_key(GUID, ACCESS)),)), ADMIN, "setup", "/")
    assert refused(desk) == (404, "ClaimsNotOffered")


def changed(path: str, value: Any) -> dict[str, Any]:
    body = call()
    *way, last = path.split("/")
    at = body
    for name in way:
        at = at[name]
    at[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "microsoft.graph.authenticationEvent.other"),
        ("data/@odata.type", "microsoft.graph.other"),
        ("data/tenantId", None),
        ("data/authenticationContext", []),
        ("data/authenticationContext/user/id", "alice"),
        ("data/authenticationContext/user/id", f"{ALICE}*"),
        ("data/authenticationContext/user", None),
        ("data/authenticationContext/clientServicePrincipal/appId", 7),
    ],
)
def test_a_body_of_another_shape_is_refused(desk: Desk, path: str, value: Any) -> None:
    assert refused(desk, changed(path, value)) == (400, "InvalidRequestContent")


def test_who_is_not_meant_gets_no_claims_and_it_is_recorded(desk: Desk) -> None:
    assert refused(desk, call(app="another-app")) == (403, "WrongApplication")
    assert refused(desk, call(tenant="99999999-2222-3333-4444-555555555555")) == (403, "WrongTenant")
    assert refused(desk, call(str(uuid.UUID(int=0xBAD)))) == (403, "PersonDisabled")
    desk.directory.members[ALICE] = {ELSE}
    assert refused(desk) == (403, "NotAMember")
    desk.directory.is_down = True
    assert refused(desk) == (503, "GroupsUnknown")
    codes = [detail["code"] for outcome, detail in records(desk) if outcome == "refused"]
    assert codes == ["WrongApplication", "WrongTenant", "PersonDisabled", "NotAMember", "GroupsUnknown"]


def test_who_is_offboarded_gets_no_claims_from_that_moment_on(desk: Desk) -> None:
    assert desk.ask()
    with engine_of(desk).store.begin() as connection:
        offboard(connection, engine_of(desk), ALICE, ADMIN, "left")
    assert refused(desk) == (403, "AccessRevoked")


def test_keys_that_cannot_be_had_are_no_reason_to_believe(desk: Desk) -> None:
    desk.is_reachable = False
    assert refused(desk) == (503, "IssuerUnavailable")


def test_an_answer_comes_well_within_two_seconds_keys_included(desk: Desk) -> None:
    for _ in range(5):
        began = time.monotonic()
        assert desk.ask()
        assert time.monotonic() - began < 2.0
    assert len(desk.fetched) == 2, "keys are fetched once"


def test_groups_that_do_not_fit_a_tag_are_refused_and_never_cut() -> None:
    six = frozenset(str(uuid.UUID(int=number)) for number in range(6))
    assert len(groups_tag(six)) <= LONGEST_TAG
    with pytest.raises(ArmError, match="256") as caught:
        groups_tag(six | {str(uuid.UUID(int=7))})
    assert caught.value.code == "TooManyGroups"
