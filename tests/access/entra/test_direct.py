"""Where accounts trust the directory themselves, people may be in there who never were here: whom Entra lets go is denied there too."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from isthmus.access import revocations
from isthmus.access.entra.checking import CHECK, GONE, HELD_BACK, SAME, STRANGER
from isthmus.access.entra.notices import Notice
from isthmus.access.entra.polling import POLL
from isthmus.access.federation import CONFIGURATIONS
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.store.tables import access_denials, access_revocations
from tests.access.entra.conftest import ALICE, BOB, CONNECTOR, DEV, Followed
from tests.fakes.entra import TENANT, guid

CAROL = guid("carol")


def trust_directory(followed: Followed) -> None:
    settings = {"federation": "oidc", "federationIssuer": f"https://sts.windows.net/{TENANT}/"}
    made = Resource(
        id=CONNECTOR.extension(CONFIGURATIONS, "access"), properties={"solutionType": "Isthmus.Access", "solutionSettings": settings}
    )
    followed.engine.apply(Change(puts=(made,)), Actor(id="admin", kind="User"), "setup", "/")


def denied(followed: Followed, person: str) -> list[str]:
    """Connectors whose accounts were told to deny somebody."""
    told = select(access_denials.c.connector).join(access_revocations, access_revocations.c.id == access_denials.c.revocation)
    with followed.engine.store.read() as connection:
        return list(connection.execute(told.where(access_revocations.c.person == person)).scalars())


def is_out(followed: Followed, person: str) -> bool:
    with followed.engine.store.read() as connection:
        return revocations.is_revoked(connection, person)


@pytest.fixture
def direct(followed: Followed) -> Followed:
    """Carol is in the group, and may hold a role by the directory alone; changes are followed."""
    followed.tenant.user(CAROL)
    followed.tenant.join(DEV, CAROL)
    trust_directory(followed)
    followed.poll()
    return followed


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_who_leaves_is_denied_without_ever_having_been_here(direct: Followed, how: str) -> None:
    getattr(direct.tenant, how)(CAROL)
    assert direct.poll() == {CAROL: GONE}
    assert (is_out(direct, CAROL), denied(direct, CAROL)) == (True, [CONNECTOR.key])
    assert direct.poll() == {}
    direct.tenant.disable(CAROL) if how == "disable" else direct.tenant.user(CAROL, enabled=False)
    assert direct.poll() == {CAROL: STRANGER}, "told twice, done once"
    assert len(denied(direct, CAROL)) == 1


def test_what_graph_answers_decides_and_not_what_was_told(direct: Followed) -> None:
    direct.tenant.disable(CAROL)
    direct.polling.poll()
    direct.tenant.user(CAROL)
    assert direct.run_checks() == {CAROL: STRANGER}
    assert not is_out(direct, CAROL)


def test_people_of_another_directory_are_not_denied(direct: Followed) -> None:
    dave = direct.tenant.user(guid("dave"))
    direct.poll()
    direct.sign_in(dave, issuer="https://elsewhere.test")
    direct.tenant.disable(dave)
    assert direct.poll() == {dave: STRANGER}
    assert not is_out(direct, dave)


def test_changes_of_a_whole_tenant_order_nothing_for_those_who_stay(direct: Followed) -> None:
    crowd = [guid(f"user {number}") for number in range(2_000)]
    for one in crowd:
        direct.tenant.user(one)
    direct.tenant.disable(crowd[7])
    direct.tenant.disable(crowd[8])
    direct.tenant.user(crowd[8])
    assert direct.polling.poll() == 1
    calls = len(direct.there.server.calls)
    assert direct.run_checks() == {crowd[7]: GONE}
    assert len(direct.there.server.calls) - calls == 1


def test_without_such_accounts_nobody_unknown_is_looked_at(followed: Followed) -> None:
    followed.tenant.user(CAROL)
    followed.poll()
    followed.tenant.disable(CAROL)
    assert followed.poll() == {}
    assert followed.checks.check(CAROL, by="poll", noticed=0) == STRANGER
    followed.tenant.delete(CAROL)
    assert followed.poll() == {}


def test_a_reading_that_begins_anew_denies_nobody_for_having_left_long_ago(direct: Followed) -> None:
    direct.tenant.user(guid("long gone"), enabled=False)
    direct.tenant.forget()
    assert direct.poll() == {ALICE: SAME, BOB: SAME}


def test_a_check_that_is_given_up_is_made_up_for_also_of_somebody_unknown(direct: Followed) -> None:
    direct.tenant.disable(CAROL)
    direct.polling.poll()
    direct.jobs.orders.clear()
    away = ArmError("ServiceUnavailable", "Graph is away.", status=503)
    direct.checks.failed({"person": CAROL, "by": "poll", "noticed": 0}, away)
    direct.checks.failed({"person": ALICE, "by": "poll", "noticed": 0}, away)
    assert direct.poll() == {ALICE: SAME, BOB: SAME, CAROL: GONE}
    assert direct.poll() == {}


def test_who_leaves_while_everybody_is_checked_is_not_forgotten(direct: Followed) -> None:
    direct.tenant.disable(CAROL)
    direct.tenant.group(guid("within"), ALICE)
    direct.tenant.join(DEV, guid("within"))
    direct.tenant.leave(DEV, guid("within"))
    assert direct.poll() == {ALICE: SAME, BOB: SAME, CAROL: GONE}


def test_many_who_are_suddenly_unknown_are_not_barred(direct: Followed) -> None:
    crowd = [direct.tenant.user(guid(f"u{number}")) for number in range(12)]
    direct.poll()
    for one in crowd:
        direct.tenant.delete(one)
    assert sorted(direct.poll().values()) == [GONE] * 10 + [HELD_BACK] * 2


def test_notifications_about_unknown_people_ask_for_the_changes_once(direct: Followed) -> None:
    direct.there.server.validates = True
    direct.subscriptions.keep()
    secrets = {one["resource"]: (id, one["clientState"]) for id, one in direct.tenant.subscriptions.items()}
    id, secret = secrets["/users"]

    def tell(*about: str) -> list[str]:
        direct.notices.accept([Notice(subscription=id, secret=secret, about=frozenset({one})) for one in about])
        return [job for job, _ in direct.ordered()]

    assert tell(ALICE) == [CHECK]
    direct.jobs.orders.clear()
    assert tell(*(guid(f"user {number}") for number in range(500))) == [POLL]
    assert tell(CAROL) == [POLL], "a moment later it is the same question"
    direct.jobs.orders.clear()
    direct.tenant.disable(CAROL)
    assert direct.poll() == {CAROL: GONE}
