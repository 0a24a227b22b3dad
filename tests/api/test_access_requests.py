"""Just in time access over HTTP: asked for, decided, seen by those whom it concerns, and refused with typed errors to everybody else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access import grants
from isthmus.identity.roles import READER
from isthmus.store.tables import access_sessions, audit_records
from tests.api.conftest import Api
from tests.api.people import Visitor
from tests.api.test_metrics import samples
from tests.support.groups import provision_group

OURS = "2026-11-01"
ACCESS = "/providers/Isthmus.Access"
ROLE = "123456789012.Operator"
ALLOWED = [{"Effect": "Allow", "Action": ["ec2:*"], "Resource": ["*"]}]


class Counter:
    """Where people ask; the roles Operator (two approvals) and Reader (standing) of one account."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.connector = api.connector()
        path = f"{self.connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
        assert api.call("PUT", path, {"properties": {"solutionType": "Isthmus.Access"}}).status_code == 200
        activation = {"mode": "Request", "approverGroups": ["g-lead"], "approvals": 2, "longestSeconds": 7_200}
        self.put("Operator", activation=activation)
        self.put("Reader")

    def put(self, name: str, **more: Any) -> None:
        path = f"{self.connector}{ACCESS}/roleMappings/{name}"
        body = {"properties": {"groups": ["g-ops"], "statements": ALLOWED, **more}}
        answer = self.api.call("PUT", path, body, version=OURS)
        assert answer.status_code == 201, answer.text

    def call(self, who: Visitor, path: str, body: Any = None) -> Any:
        return self.api.call("POST", f"{ACCESS}/{path}", body, version=OURS, token=who.token)

    def post(self, who: Visitor, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call(who, path, body)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def refused(self, who: Visitor, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.call(who, path, body)
        return answer.status_code, answer.json()["error"]["code"]

    def ask(self, who: Visitor, role: str = ROLE, **more: Any) -> str:
        return str(self.post(who, f"roles/{role}/request", {"reason": "INC-7", "seconds": 900, **more})["name"])

    def listed(self, who: Visitor, query: str = "") -> dict[str, Mapping[str, Any]]:
        answer = self.api.call("GET", f"{ACCESS}/requests{query}", version=OURS, token=who.token)
        assert answer.status_code == 200, answer.text
        return {one["name"]: one["properties"] for one in answer.json()["value"]}

    def attention(self) -> list[dict[str, Any]]:
        path = f"/subscriptions/{self.api.subscription}/providers/Isthmus.Insights/attention?kind=brokenGlass"
        return [one["properties"] for one in self.api.call("GET", path, version=OURS).json()["value"]]

    def records(self, action: str, outcome: str = "accepted") -> list[dict[str, Any]]:
        chosen = select(audit_records.c.detail).where(audit_records.c.action == action, audit_records.c.outcome == outcome)
        with self.api.app.engine.store.read() as connection:
            return [json.loads(text) for text in connection.execute(chosen.order_by(audit_records.c.seq)).scalars()]


@pytest.fixture
def counter(api: Api) -> Counter:
    return Counter(api)


def test_a_role_is_asked_for_approved_by_two_and_extended(counter: Counter, api: Api) -> None:
    alice, one, two = Visitor(api, "alice", "g-ops"), Visitor(api, "one", "g-lead"), Visitor(api, "two", "g-lead")
    id = counter.ask(alice)
    asked = counter.listed(alice)[id]
    assert (asked["grant"], asked["grantState"], asked["grantEndsAt"]) == (None, None, None)
    assert (asked["role"], asked["state"], asked["approvals"], asked["approvalsNeeded"]) == (ROLE, "Pending", 0, 2)
    assert (asked["person"], asked["personName"], asked["reason"], asked["seconds"]) == (alice.id, "alice", "INC-7", 900)
    assert set(counter.listed(one)) == {id}
    assert counter.listed(Visitor(api, "nobody")) == {}
    assert counter.post(one, f"requests/{id}/approve")["properties"]["state"] == "Pending"
    made = counter.post(two, f"requests/{id}/approve", {"reason": "agreed"})["properties"]
    assert (made["state"], [told["reason"] for told in made["decisions"]]) == ("Approved", ["", "agreed"])
    roles = api.call("GET", f"{ACCESS}/roles", version=OURS, token=alice.token).json()["value"]
    assert {role["name"]: role["properties"]["state"] for role in roles} == {ROLE: "Available", "123456789012.Reader": "Available"}
    again = counter.ask(alice)
    counter.post(one, f"requests/{again}/approve")
    second = counter.post(two, f"requests/{again}/approve")["properties"]["grant"]
    assert second != made["grant"]
    ended = api.call("POST", f"{ACCESS}/grants/{second}/end", {"reason": "enough"}, version=OURS)
    assert ended.status_code == 200, ended.text
    states = {}
    for grant in (made["grant"], second):
        states[grant] = api.call("GET", f"{ACCESS}/grants/{grant}", version=OURS).json()["properties"]["state"]
    assert states == {made["grant"]: "Active", second: "Ended"}, "ending one of two leaves the other alone"
    listed = counter.listed(alice, "?state=approved")
    assert set(listed) == {id, again}
    assert (listed[id]["grantState"], listed[id]["grantEnding"]) == ("Active", None)
    assert (listed[again]["grantState"], listed[again]["grantEnding"]) == ("Ended", "enough")
    assert listed[again]["grantEndsAt"] < listed[id]["grantEndsAt"]
    assert [told.get("grant") for told in counter.records("Isthmus.Access/requests/approve")] == [None, made["grant"], None, second]


def test_every_refusal_has_a_code_and_a_record(counter: Counter, api: Api) -> None:
    alice, lead = Visitor(api, "alice", "g-ops", "g-lead"), Visitor(api, "lead", "g-lead")
    stranger = Visitor(api, "stranger")
    role = f"roles/{ROLE}/request"
    body = {"reason": "why", "seconds": 900}
    assert counter.refused(stranger, role, body) == (403, "NotAMember")
    assert counter.refused(alice, "roles/123456789012.Reader/request", body) == (409, "RequestNotNeeded")
    assert counter.refused(alice, "roles/123456789012.None/request", body) == (404, "RoleNotFound")
    assert counter.refused(alice, role, {**body, "seconds": 7_201}) == (400, "TooLong")
    assert counter.refused(alice, role, {**body, "seconds": 59}) == (400, "InvalidRequestContent")
    assert counter.refused(alice, role, {"seconds": 900}) == (400, "InvalidRequestContent")
    id = counter.ask(alice)
    assert counter.refused(alice, role, body) == (409, "AlreadyAsked")
    assert counter.refused(alice, f"requests/{id}/approve") == (403, "CannotDecideOwn")
    assert counter.refused(stranger, f"requests/{id}/approve") == (403, "NotAnApprover")
    assert counter.refused(stranger, f"requests/{id}/withdraw") == (403, "NotYourRequest")
    assert counter.refused(lead, f"requests/{id}/deny") == (400, "InvalidRequestContent")
    assert counter.refused(lead, "requests/none/approve") == (404, "RequestNotFound")
    assert counter.refused(lead, f"requests/{id}/acknowledge") == (403, "NotAnOwner")
    counter.post(lead, f"requests/{id}/approve")
    assert counter.refused(lead, f"requests/{id}/approve") == (409, "AlreadyApproved")
    assert counter.post(lead, f"requests/{id}/deny", {"reason": "no"})["properties"]["state"] == "Denied"
    assert counter.refused(alice, f"requests/{id}/withdraw") == (409, "RequestDecided")
    assert len(counter.records("POST action", "refused")) == 15
    answer = api.call("GET", f"{ACCESS}/requests?state=Lost", version=OURS, token=alice.token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidState")


def test_an_application_decides_nothing_whatever_its_role(counter: Counter, api: Api) -> None:
    alice = Visitor(api, "alice", "g-ops")
    ids = (counter.ask(alice), counter.ask(alice, breakGlass=True))
    for id in ids:
        answer = api.call("POST", f"{ACCESS}/requests/{id}/approve", version=OURS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NotAnApprover")
    mine = api.call("POST", f"{ACCESS}/roles/{ROLE}/request", {"reason": "why"}, version=OURS)
    assert (mine.status_code, mine.json()["error"]["code"]) == (401, "SignInNeeded")


def test_the_glass_is_broken_by_two_owners_and_stays_in_view_until_one_has_looked(counter: Counter, api: Api) -> None:
    alice, lead = Visitor(api, "alice", "g-ops"), Visitor(api, "lead", "g-lead")
    here, above = Visitor(api, "here").owns(counter.connector), Visitor(api, "above").owns("/")
    elsewhere = Visitor(api, "elsewhere").owns(api.group())
    assert samples(api)["isthmus_break_glass_total"] == {(): 0.0}
    assert counter.refused(alice, f"roles/{ROLE}/request", {"reason": "x", "seconds": 3_601, "breakGlass": True}) == (400, "TooLong")
    id = counter.ask(alice, breakGlass=True)
    assert [set(counter.listed(who)) for who in (here, above, elsewhere, lead)] == [{id}, {id}, set(), set()]
    for who in (lead, elsewhere):
        assert counter.refused(who, f"requests/{id}/approve") == (403, "NotAnApprover")
    assert counter.post(here, f"requests/{id}/approve")["properties"]["state"] == "Pending"
    assert counter.refused(here, f"requests/{id}/approve") == (409, "AlreadyApproved")
    assert counter.attention() == []
    made = counter.post(above, f"requests/{id}/approve")["properties"]
    assert samples(api)["isthmus_break_glass_total"] == {(): 1.0}
    grant = api.call("GET", f"{ACCESS}/grants/{made['grant']}", version=OURS).json()["properties"]
    assert (grant["breakGlass"], grant["person"], grant["because"]) == (True, alice.id, f"request:{id}")
    [concern] = counter.attention()
    assert (concern["severity"], concern["subject"], concern["targetId"]) == ("error", id, counter.connector)
    assert "alice" in concern["title"]
    assert "here and above" in concern["detail"]
    assert concern["remedy"].endswith(f"isthmus access acknowledge {id}")
    assert counter.refused(alice, f"requests/{id}/acknowledge") == (403, "CannotDecideOwn")
    assert counter.refused(elsewhere, f"requests/{id}/acknowledge") == (403, "NotAnOwner")
    assert counter.post(here, f"requests/{id}/acknowledge", {"reason": "seen"})["properties"]["acknowledgedAt"]
    assert counter.attention() == []
    assert counter.refused(above, f"requests/{id}/acknowledge") == (409, "NothingToAcknowledge")
    assert [told["breakGlass"] for told in counter.records("Isthmus.Access/requests/approve")] == [True, True]


def test_one_request_is_read_by_whom_it_concerns_and_by_readers_of_the_tenant(counter: Counter, api: Api) -> None:
    alice, lead, stranger = Visitor(api, "alice", "g-ops"), Visitor(api, "lead", "g-lead"), Visitor(api, "stranger")
    with api.app.engine.store.begin() as connection:
        provision_group(connection, "g-lead", "Leads")
    id = counter.ask(alice)
    tokens = (api.client(READER.id), alice.token, lead.token, stranger.token)
    answers = [api.call("GET", f"{ACCESS}/requests/{id}", version=OURS, token=token) for token in tokens]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
    told = [answer.json()["properties"] for answer in answers[:3]]
    assert [one["canDecide"] for one in told] == [False, False, True]
    assert "your own request" in told[1]["cannotBecause"]
    assert told[2]["holds"] == []
    gives = told[2]["gives"]
    assert (gives["approverGroups"], gives["approverGroupNames"], gives["machineTag"]) == (["g-lead"], {"g-lead": "Leads"}, "")
    assert gives["managedPolicyArns"] or gives["statements"]
    assert told[2] == {**counter.listed(alice)[id], "gives": gives, "holds": [], "canDecide": True, "cannotBecause": None}
    missing = api.call("GET", f"{ACCESS}/requests/none", version=OURS)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "RequestNotFound")


def test_of_two_approvers_at_once_the_second_sees_what_happened(counter: Counter, api: Api) -> None:
    alice, one, two = Visitor(api, "alice", "g-ops"), Visitor(api, "one", "g-lead"), Visitor(api, "two", "g-lead")
    id = counter.ask(alice)
    path = f"{ACCESS}/requests/{id}"
    seen = api.call("GET", path, version=OURS, token=one.token).headers["etag"]

    def act(who: Visitor, what: str, etag: str) -> tuple[int, str]:
        body = {"reason": "no"} if what == "deny" else None
        answer = api.call("POST", f"{path}/{what}", body, version=OURS, token=who.token, headers={"If-Match": etag})
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert act(one, "approve", seen) == (200, "")
    for who, what in ((two, "approve"), (two, "deny"), (alice, "withdraw")):
        assert act(who, what, seen) == (412, "RequestChanged"), what
    told = api.call("POST", f"{path}/approve", version=OURS, token=two.token, headers={"If-Match": seen}).json()["error"]["message"]
    assert "one: approve" in told
    assert counter.listed(alice)[id]["approvals"] == 1
    assert act(two, "approve", "no quotes") == (400, "InvalidHeaderValue")
    now = api.call("GET", path, version=OURS, token=two.token).headers["etag"]
    assert act(two, "approve", now) == (200, "")
    held = api.call("GET", path, version=OURS, token=two.token).json()["properties"]
    assert [grant["properties"]["role"] for grant in held["holds"]] == [ROLE]
    assert (held["canDecide"], held["state"]) == (False, "Approved")


def test_readers_of_the_tenant_review_who_holds_what(counter: Counter, api: Api) -> None:
    alice, one, two = Visitor(api, "alice", "g-ops"), Visitor(api, "one", "g-lead"), Visitor(api, "two", "g-lead")
    id = counter.ask(alice)
    counter.post(one, f"requests/{id}/approve")
    grant = counter.post(two, f"requests/{id}/approve")["properties"]["grant"]
    now = api.app.engine.now()
    with api.app.engine.store.begin() as connection:
        held = grants.find(connection, grant)
        assert held is not None
        row = {"grant": grant, "mapping": held.mapping, "person": alice.id, "sign_in": "s", "account": "123456789012", "role_arn": "arn"}
        connection.execute(access_sessions.insert().values(id="A1", **row, use="credentials", issued_at=now - 1, lease_until=now))
    reader = api.client(READER.id)
    answer = api.call("GET", f"{ACCESS}/reviews?$count=true", version=OURS, token=reader)
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == 1
    [told] = [one["properties"] for one in answer.json()["value"]]
    assert (told["personName"], told["role"], told["because"]) == ("alice", ROLE, f"request:{id}")
    assert (told["livingGrants"], told["sessions30Days"], told["sessions90Days"], told["unusedSince"]) == (1, 1, 1, None)
    assert told["lastSession"]
    refused = api.call("GET", f"{ACCESS}/reviews", version=OURS, token=alice.token)
    assert refused.status_code == 403


def test_groups_of_mappings_are_named_for_who_may_read_the_mappings(counter: Counter, api: Api) -> None:
    with api.app.engine.store.begin() as connection:
        provision_group(connection, "g-ops", "Operations")
        provision_group(connection, "g-dev", "Developers of something else")
    reader = api.client(READER.id, counter.connector)
    for token in (None, reader):
        answer = api.call("GET", f"{ACCESS}/groups", version=OURS, token=token)
        found = [one["properties"] for one in answer.json()["value"]]
        assert found == [
            {"groupId": "g-lead", "displayName": None, "roles": [], "decidesAbout": [ROLE]},
            {"groupId": "g-ops", "displayName": "Operations", "roles": [ROLE, "123456789012.Reader"], "decidesAbout": []},
        ]
    stranger = Visitor(api, "stranger", "g-ops")
    assert api.call("GET", f"{ACCESS}/groups", version=OURS, token=stranger.token).json()["value"] == []
    assert api.call("GET", f"{ACCESS}/groups", version=OURS, token="none").status_code == 401


def test_lists_of_roles_take_as_many_queries_for_many_as_for_few(counter: Counter, api: Api) -> None:
    alice = Visitor(api, "alice", "g-ops")
    asked: list[float] = []
    api.app.engine.store.watch(asked.append)
    paths = {"roles": alice.token, "groups": None, "entitlements?account=123456789012": None}

    def cost(path: str) -> int:
        asked.clear()
        assert api.call("GET", f"{ACCESS}/{path}", version=OURS, token=paths[path]).status_code == 200
        return len(asked)

    few = {path: cost(path) for path in paths}
    reader = api.client(READER.id, api.connector("210987654321", name="other"))
    paths["groups?of=reader"] = reader
    few["groups?of=reader"] = cost("groups?of=reader")
    for number in range(20):
        counter.put(f"Role{number}")
    for number in range(3):
        connector = api.connector(f"30000000000{number}", name=f"more{number}")
        path = f"{connector}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
        assert api.call("PUT", path, {"properties": {"solutionType": "Isthmus.Access"}}).status_code == 200
        body = {"properties": {"groups": ["g-ops"], "statements": ALLOWED}}
        assert api.call("PUT", f"{connector}{ACCESS}/roleMappings/Reader", body, version=OURS).status_code == 201
    assert {path: cost(path) for path in paths} == few
    asked.clear()
    assert counter.post(alice, "roles/123456789012.role7/why")["role"] == "123456789012.Role7"
    named = len(asked)
    asked.clear()
    assert counter.post(alice, "roles/123456789012.Reader/why")["role"] == "123456789012.Reader"
    assert len(asked) == named, "a role is found by its name and not among all others"
    for unknown in ("123456789012.Nobody", "210987654321.Reader", "123456789012", "123456789012.Reader.x", ".Reader"):
        assert counter.refused(alice, f"roles/{unknown}/why") == (404, "RoleNotFound"), unknown
