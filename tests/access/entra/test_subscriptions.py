"""Subscriptions: made, renewed, ended, and the notifications that they vouch for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access.entra.checking import CHECK, GONE
from isthmus.access.entra.notices import read_notices
from isthmus.access.entra.polling import POLL
from isthmus.access.entra.subscriptions import KEEP, LIFE
from isthmus.arm.errors import ArmError
from isthmus.store.tables import graph_subscriptions
from tests.access.entra.conftest import ALICE, DEV, OPS, Followed
from tests.fakes.entra import guid
from tests.support.clock import Clock


@pytest.fixture
def kept(followed: Followed) -> Followed:
    """With subscriptions; Graph's handshake is answered."""
    followed.there.server.validates = True
    followed.subscriptions.keep()
    return followed


def resources(followed: Followed) -> set[str]:
    return {held["resource"] for held in followed.tenant.subscriptions.values()}


def rows(followed: Followed) -> dict[str, Any]:
    with followed.engine.store.read() as connection:
        return {row.resource: row for row in connection.execute(select(graph_subscriptions))}


def posted(followed: Followed) -> list[dict[str, Any]]:
    """What Graph has posted since."""
    found = [body for _, body in followed.tenant.notices]
    followed.tenant.notices.clear()
    return found


def test_users_and_every_group_that_matters_are_subscribed_to(kept: Followed) -> None:
    wanted = {"/users", f"/groups/{DEV}/members", f"/groups/{OPS}/members"}
    assert resources(kept) == set(rows(kept)) == wanted
    secrets = {held["clientState"] for held in kept.tenant.subscriptions.values()}
    assert len(secrets) == 3
    told = str([tuple(row) for row in rows(kept).values()])
    assert not [secret for secret in secrets if secret in told], "only hashes are kept"
    kept.subscriptions.keep()
    assert len(kept.tenant.subscriptions) == 3, "nothing twice"


def test_they_are_renewed_before_their_end_and_made_again_after_it(kept: Followed, clock: Clock) -> None:
    clock.advance(LIFE / 2000 + 60)
    kept.subscriptions.keep()
    assert {row.expires_at for row in rows(kept).values()} == {kept.engine.now() + LIFE}
    kept.tenant.subscriptions.clear()
    clock.advance(LIFE / 2000 + 60)
    kept.subscriptions.keep()
    assert len(kept.tenant.subscriptions) == 3
    assert {row.remote for row in rows(kept).values()} == set(kept.tenant.subscriptions)


def test_what_no_longer_matters_is_ended_and_a_refused_one_is_tried_again(kept: Followed) -> None:
    kept.map_groups(OPS)
    kept.subscriptions.keep()
    assert resources(kept) == {"/users", f"/groups/{OPS}/members"}
    kept.there.server.validates = False
    kept.map_groups(OPS, DEV)
    kept.subscriptions.keep()
    assert f"/groups/{DEV}/members" not in rows(kept)
    kept.there.server.validates = True
    kept.subscriptions.keep()
    assert f"/groups/{DEV}/members" in resources(kept)


def test_a_notification_is_a_hint_and_the_live_check_decides(kept: Followed) -> None:
    kept.tenant.user(ALICE)
    (body,) = posted(kept)
    assert kept.notices.accept(read_notices(body)) == 1
    assert kept.run_checks() == {ALICE: "Unchanged"}
    kept.tenant.disable(ALICE)
    (body,) = posted(kept)
    kept.notices.accept(read_notices(body))
    assert kept.run_checks() == {ALICE: GONE}
    kept.tenant.user(guid("stranger"))
    assert kept.notices.accept(read_notices(posted(kept)[0])) == 1
    assert kept.ordered() == [("access.deny", kept.ordered()[0][1])], "strangers concern nobody"


def test_a_change_of_a_group_is_asked_for_at_once(kept: Followed) -> None:
    kept.tenant.leave(DEV, ALICE)
    kept.notices.accept(read_notices(posted(kept)[0]))
    assert {job for job, _ in kept.ordered()} == {CHECK, POLL}


@pytest.mark.parametrize(
    "forge",
    [
        lambda told: {**told, "clientState": "guessed"},
        lambda told: {**told, "clientState": ""},
        lambda told: {name: value for name, value in told.items() if name != "clientState"},
        lambda told: {**told, "subscriptionId": guid("another")},
        lambda told: {**told, "clientState": ["x"]},
    ],
)
def test_what_no_subscription_vouches_for_does_nothing(kept: Followed, forge: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    kept.tenant.disable(ALICE)
    (body,) = posted(kept)
    assert kept.notices.accept(read_notices({"value": [forge(body["value"][0])]})) == 0
    assert kept.ordered() == []


@pytest.mark.parametrize("body", [None, [], {}, {"value": {}}, {"value": [{}] * 1001}])
def test_what_is_no_collection_is_refused(body: object) -> None:
    with pytest.raises(ArmError) as caught:
        read_notices(body)
    assert caught.value.status == 400


def test_lifecycle_notifications_are_answered_by_work(kept: Followed) -> None:
    users = next(id for id, held in kept.tenant.subscriptions.items() if held["resource"] == "/users")
    for event in ("reauthorizationRequired", "missed", "subscriptionRemoved"):
        kept.tenant.tell_lifecycle(event, users)
        assert kept.notices.accept(read_notices(posted(kept)[0])) == 1
    assert kept.ordered() == [(KEEP, {"renew": users}), (POLL, {}), (KEEP, {})]
    assert "/users" not in rows(kept)
    assert len(kept.told("Isthmus.Access/directory/lifecycle")) == 3
    del kept.tenant.subscriptions[users]
    kept.subscriptions.job().run({})
    assert "/users" in resources(kept)


def test_reauthorization_confirms_the_one_that_asks(kept: Followed, clock: Clock) -> None:
    users = next(id for id, held in kept.tenant.subscriptions.items() if held["resource"] == "/users")
    clock.advance(60)
    kept.subscriptions.job().run({"renew": users})
    assert rows(kept)["/users"].expires_at == kept.engine.now() + LIFE
    assert rows(kept)[f"/groups/{DEV}/members"].expires_at == kept.engine.now() + LIFE - 60_000
