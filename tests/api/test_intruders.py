"""What intruders and broken directories try at roles in accounts: a typed refusal, a record of it, and nothing minted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.identity import evidence
from isthmus.store.tables import access_grants, access_sessions, audit_records
from tests.api.conftest import Api
from tests.api.people import Visitor
from tests.api.test_access import READ, VERSION, code, connector, put

TAKE = "/providers/Isthmus.Access/roles/123456789012.Reader/credentials"
OVERAGE = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}}


def by_anothers_sign_in(api: Api) -> str:
    """The confused deputy: a true token of bob's that names the sign-in of alice, who may."""
    alice = Visitor(api, "alice", "g-dev")
    return Visitor(api, "bob").token_by(alice.sign_in)


def by_the_same_mail(api: Api) -> str:
    """Two people whom the directory calls alike; one of them may."""
    Visitor(api, "alice", "g-dev", mail="team@example.test")
    return Visitor(api, "bob", "g-sales", mail="team@example.test").token


def after_offboarding(api: Api) -> str:
    person = Visitor(api, "alice", "g-dev")
    assert (
        api.call("POST", f"/providers/Isthmus.Access/people/{person.id}/offboard", {"reason": "left"}, version=VERSION).status_code == 200
    )
    return Visitor(api, "alice", "g-dev").token


def after_the_sign_in_was_ended(api: Api) -> str:
    person = Visitor(api, "alice", "g-dev")
    with api.app.engine.store.begin() as connection:
        assert evidence.end_all(connection, person.id, api.app.engine.now()) == 1
    return person.token


ATTEMPTS: dict[str, tuple[Callable[[Api], str], int, str]] = {
    "no groups told": (lambda api: Visitor(api, "alice", groups=None).token, 503, "GroupsUnknown"),
    "groups in overage": (lambda api: Visitor(api, "alice", "g-dev", **OVERAGE).token, 503, "GroupsUnknown"),
    "groups in overage, the short way": (lambda api: Visitor(api, "alice", "g-dev", hasgroups=True).token, 503, "GroupsUnknown"),
    "no groups": (lambda api: Visitor(api, "alice").token, 403, "NotAMember"),
    "another group": (lambda api: Visitor(api, "alice", "g-sales").token, 403, "NotAMember"),
    "a group in other letters": (lambda api: Visitor(api, "alice", "G-DEV", "g-dev ").token, 403, "NotAMember"),
    "no second factor": (lambda api: Visitor(api, "alice", "g-dev", amr=["pwd"]).token, 403, "SecondFactorNeeded"),
    "an application": (lambda api: api.client("Owner"), 401, "SignInNeeded"),
    "a sign-in that is over": (lambda api: Visitor(api, "alice", "g-dev", seconds=-1).token, 401, "SignInNeeded"),
    "a sign-in that nobody made": (
        lambda api: Visitor(api, "alice", "g-dev").token_by("11111111-1111-4111-8111-111111111111"),
        401,
        "SignInNeeded",
    ),
    "a sign-in that was ended": (after_the_sign_in_was_ended, 401, "SignInNeeded"),
    "the sign-in of somebody else": (by_anothers_sign_in, 401, "SignInNeeded"),
    "the mail address of somebody else": (by_the_same_mail, 403, "NotAMember"),
    "somebody who left": (after_offboarding, 403, "AccessRevoked"),
}


def count(api: Api, table: Any, *where: Any) -> int:
    with api.app.engine.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_is_minted_and_the_refusal_is_kept(api: Api, attempt: str) -> None:
    make, status, expected = ATTEMPTS[attempt]
    put(api, connector(api), READ)
    token = make(api)
    before = count(api, audit_records, audit_records.c.outcome == "refused")
    answer = api.call("POST", TAKE, {}, version=VERSION, token=token)
    assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert "accessKeyId" not in answer.text
    assert (count(api, access_grants), count(api, access_sessions)) == (0, 0)
    with api.app.engine.store.read() as connection:
        kept = connection.execute(select(audit_records).where(audit_records.c.outcome == "refused").order_by(audit_records.c.seq)).all()
    assert len(kept) == before + 1
    assert f'"{expected}"' in kept[-1].detail
    assert kept[-1].target.endswith("Reader/credentials" if status < 500 else "roleMappings/Reader")


def test_who_may_gets_as_far_as_the_cloud(api: Api) -> None:
    """Nothing of the table is refused for another reason than its own: with everything right only AWS is missing, and the grant stands."""
    put(api, connector(api), READ)
    answer = api.call("POST", TAKE, {}, version=VERSION, token=Visitor(api, "alice", "g-dev").token)
    assert answer.status_code in (409, 503), answer.text
    assert code(answer) not in {expected for _, _, expected in ATTEMPTS.values()}
    assert (count(api, access_grants), count(api, access_sessions)) == (1, 0)
