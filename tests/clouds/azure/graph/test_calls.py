"""Questions to Graph against a double: answers, pages, throttling, outages and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.clouds.azure.graph import GraphFault, GraphGone, GraphRefused, GraphUnavailable, User
from isthmus.clouds.azure.graph.wire import LONGEST_PAUSE
from tests.fakes.entra import guid
from tests.fakes.graph_client import Reached, reached

ALICE, BOB, DEV, OPS = map(guid, ("alice", "bob", "dev", "ops"))
CHECK = f"POST /v1.0/users/{ALICE}/checkMemberGroups"


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        for one in (ALICE, BOB):
            made.server.tenant.user(one)
        made.server.tenant.group(DEV, ALICE)
        made.server.tenant.group(OPS)
        yield made


def test_users_are_enabled_disabled_or_not_there(there: Reached) -> None:
    assert there.graph.user(ALICE.upper().lower()) == User(id=ALICE, is_enabled=True)
    there.server.tenant.disable(ALICE)
    assert there.graph.user(ALICE) == User(id=ALICE, is_enabled=False)
    there.server.tenant.delete(ALICE)
    assert there.graph.user(ALICE) is None
    assert there.graph.user("../groups") is None, "what is no object id is not asked"


def test_memberships_are_asked_twenty_at_a_time_and_through_groups_in_groups(there: Reached) -> None:
    there.server.tenant.join(OPS, DEV)
    many = [guid(f"g{number}") for number in range(45)]
    found = there.graph.member_groups(ALICE, [*many, DEV.upper(), OPS, "g-dev"])
    assert found == {DEV.upper(), OPS}, "in the words of who asked"
    assert there.server.calls.count(CHECK) == 3
    assert there.graph.member_groups(ALICE, [DEV, DEV.upper(), OPS.upper()]) == {DEV, DEV.upper(), OPS.upper()}
    assert there.graph.member_groups(guid("nobody"), [DEV]) is None
    assert there.graph.member_groups(ALICE, []) == frozenset()


def test_graph_is_waited_for_as_it_says_and_nobody_comes_sooner(there: Reached) -> None:
    there.graph.user(ALICE)
    there.server.fail(429, after=3)
    assert there.graph.user(ALICE) is not None
    assert there.passing.waited == [3.0]
    there.server.fail(429, after=60)
    with pytest.raises(GraphUnavailable, match=r"429.*60 seconds") as caught:
        there.graph.user(ALICE)
    assert caught.value.retry_after == 60
    before = len(there.server.calls)
    with pytest.raises(GraphUnavailable, match="come back later"):
        there.graph.user(BOB)
    assert len(there.server.calls) == before, "others do not ask either"
    there.passing.now += 61
    assert there.graph.user(BOB) is not None
    assert ("user", "429") in there.counted


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", [0, -1, "soon", "²"])
def test_patience_ends_whatever_graph_says_about_coming_back(there: Reached, status: int, after: int | str) -> None:
    there.graph.user(ALICE)
    before = len(there.server.calls)
    there.server.fail(status, times=100, after=after)
    with pytest.raises(GraphUnavailable, match=str(status)):
        there.graph.user(ALICE)
    assert there.passing.waited == [0.25, 0.5, 1.0, 2.0]
    assert len(there.server.calls) - before == 5


def test_no_answer_keeps_everybody_away_for_long(there: Reached) -> None:
    there.graph.user(ALICE)
    there.server.fail(429, after=10**400)
    with pytest.raises(GraphUnavailable) as caught:
        there.graph.user(ALICE)
    assert caught.value.retry_after == LONGEST_PAUSE
    there.passing.now += LONGEST_PAUSE + 1
    assert there.graph.user(BOB) is not None


def test_an_outage_ends_in_bounded_time(there: Reached) -> None:
    there.graph.user(ALICE)
    there.server.is_down = True
    with pytest.raises(GraphUnavailable):
        there.graph.user(ALICE)
    assert sum(there.passing.waited) <= 6.0
    assert len(there.server.calls) <= 8


def test_a_missing_permission_is_told_with_its_remedy(there: Reached) -> None:
    there.server.granted = frozenset({"User.Read.All"})
    with pytest.raises(GraphRefused, match=r"GroupMember\.Read\.All"):
        there.graph.member_groups(ALICE, [DEV])


def test_changes_are_told_once_from_where_one_was(there: Reached) -> None:
    begun = there.graph.changed_users()
    assert begun.touched == frozenset(), "a tenant's users are not read"
    there.server.tenant.disable(ALICE)
    there.server.tenant.delete(BOB)
    found = there.graph.changed_users(begun.link)
    assert (found.touched, found.removed) == ({ALICE}, {BOB})
    assert there.graph.changed_users(found.link).touched == frozenset()


def test_members_come_and_go_over_several_pages(there: Reached) -> None:
    begun = there.graph.changed_groups([DEV])
    for number in range(5):
        there.server.tenant.join(DEV, there.server.tenant.user(guid(f"u{number}")))
    there.server.tenant.leave(DEV, ALICE)
    there.server.tenant.join(OPS, BOB)
    found = there.graph.changed_groups([DEV], begun.link)
    left = [(one.group, one.id, one.is_user) for one in found.members if one.is_removed]
    assert left == [(DEV, ALICE, True)]
    assert len(found.members) == 6


def test_a_link_that_is_too_old_is_said_to_be(there: Reached) -> None:
    begun = there.graph.changed_groups([DEV])
    there.server.tenant.forget()
    with pytest.raises(GraphGone):
        there.graph.changed_groups([DEV], begun.link)


@pytest.mark.parametrize("host", ["http://127.0.0.2:1", "https://graph.evil.test", "//evil.test"])
def test_pages_of_another_host_are_not_followed(there: Reached, host: str) -> None:
    there.server.links_lead_to = host
    for number in range(3):
        there.server.tenant.join(DEV, there.server.tenant.user(guid(f"u{number}")))
        there.server.tenant.join(DEV, there.server.tenant.group(guid(f"inner{number}")))
    for ask in (lambda: there.graph.changed_groups([DEV]), lambda: there.graph.nested_groups(DEV)):
        with pytest.raises(GraphFault, match="another host"):
            ask()


def test_groups_in_groups_are_found_at_any_depth(there: Reached) -> None:
    inner = [there.server.tenant.group(guid(f"inner{number}")) for number in range(5)]
    there.server.tenant.join(DEV, inner[0])
    for upper, lower in itertools.pairwise(inner):
        there.server.tenant.join(upper, lower)
    assert there.graph.nested_groups(DEV) == set(inner)
    assert there.graph.nested_groups(guid("gone")) == frozenset()


def test_subscriptions_are_made_after_a_handshake_renewed_and_ended(there: Reached) -> None:
    asked: list[str] = []

    def deliver(url: str) -> tuple[int, str, str]:
        asked.append(url)
        return 200, "text/plain; charset=utf-8", "wrong"

    there.server.deliver = deliver
    wanted: dict[str, Any] = {"to": "https://here/graph/notifications", "secret": "s" * 43, "until": 1_800_000_000_000}
    with pytest.raises(GraphFault, match="ValidationError"):
        there.graph.subscribe("/users", "updated,deleted", **wanted)
    assert len(asked) == 1
    there.server.validates = True
    made = there.graph.subscribe("/users", "updated,deleted", **wanted)
    assert made.expires_at == 1_800_000_000_000
    renewed = there.graph.renew(made.id, 1_800_000_060_000)
    assert renewed is not None
    assert renewed.expires_at == 1_800_000_060_000
    there.graph.unsubscribe(made.id)
    there.graph.unsubscribe(made.id)
    assert there.graph.renew(made.id, 1_800_000_060_000) is None


def test_sign_ins_of_both_kinds_are_read_in_order(there: Reached) -> None:
    for number, kind in enumerate(("interactiveUser", "nonInteractiveUser", "interactiveUser", "interactiveUser")):
        at = f"2026-11-20T15:0{number}:00.000Z"
        there.server.tenant.sign_ins.append({"id": f"s{number}", "createdDateTime": at, "signInEventTypes": [kind]})
    since, until = 1_795_186_800_000, 1_795_187_100_000
    found = [[one["id"] for one in page] for page in there.graph.sign_ins(since, until, is_interactive=True)]
    assert found == [["s0", "s2"], ["s3"]]
    assert [one["id"] for page in there.graph.sign_ins(since, until, is_interactive=False) for one in page] == ["s1"]
