"""What changed since the last question, and what is done where nobody knows."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from isthmus.access.entra.checking import CHECK, GONE, LEFT, SAME
from isthmus.arm.errors import ArmError
from isthmus.clouds.azure.graph import Changes, GraphFault
from isthmus.store.tables import graph_marks
from tests.access.entra.conftest import ALICE, BOB, DEV, OPS, Followed
from tests.fakes.entra import guid
from tests.support.clock import Clock


def links(followed: Followed) -> dict[str, str]:
    with followed.engine.store.read() as connection:
        return {row.name: row.link for row in connection.execute(select(graph_marks))}


def test_the_first_question_checks_everybody_once(followed: Followed) -> None:
    followed.tenant.leave(DEV, BOB)
    assert followed.poll() == {ALICE: SAME, BOB: LEFT}
    assert followed.poll() == {}, "nothing happened since"
    assert len(followed.told("Isthmus.Access/directory/checkEverybody")) == 1


def test_what_changes_afterwards_concerns_those_alone(followed: Followed) -> None:
    followed.poll()
    followed.tenant.leave(DEV, ALICE)
    followed.tenant.join(DEV, followed.tenant.user(guid("stranger")))
    assert followed.poll() == {ALICE: LEFT}
    followed.tenant.disable(BOB)
    assert followed.poll() == {BOB: GONE}
    assert followed.held(ALICE) == {f"group:{OPS}"}
    assert followed.poll() == {}


def test_who_is_deleted_is_told(followed: Followed) -> None:
    followed.poll()
    followed.tenant.delete(ALICE)
    assert followed.poll() == {ALICE: GONE}


def test_a_link_that_is_too_old_begins_anew_and_misses_nobody(followed: Followed) -> None:
    followed.poll()
    followed.tenant.leave(DEV, ALICE)
    followed.tenant.forget()
    assert followed.poll() == {ALICE: LEFT, BOB: SAME}
    assert followed.poll() == {}


def test_leaving_a_group_within_a_group_is_leaving_it(followed: Followed) -> None:
    inner, carol = guid("inner"), guid("carol")
    followed.tenant.user(carol)
    followed.poll()
    followed.tenant.group(inner, carol)
    followed.tenant.join(DEV, inner)
    followed.sign_in(carol, DEV)
    followed.poll()
    assert followed.poll() == {ALICE: SAME, BOB: SAME, carol: SAME}, "the group within is watched from now on"
    followed.tenant.leave(inner, carol)
    assert followed.poll() == {carol: LEFT}
    followed.sign_in(carol, DEV)
    followed.tenant.join(inner, carol)
    followed.poll()
    followed.tenant.leave(DEV, inner)
    assert followed.poll()[carol] == LEFT, "a whole group left"


def test_a_mapping_that_comes_is_watched_and_one_that_goes_is_not(followed: Followed) -> None:
    followed.poll()
    before = set(links(followed))
    new = followed.tenant.group(guid("new"), ALICE)
    followed.map_groups(DEV, OPS, new)
    followed.poll()
    assert len(set(links(followed)) - before) == 1, "what was read already is not read again"
    followed.map_groups(new)
    followed.poll()
    assert len(set(links(followed)) & before) == 2, "users and groups within"


def test_nothing_is_noted_as_read_while_graph_is_down(followed: Followed) -> None:
    followed.poll()
    before = links(followed)
    followed.tenant.leave(DEV, ALICE)
    followed.there.server.is_down = True
    with pytest.raises(GraphFault):
        followed.polling.poll()
    assert links(followed) == before
    followed.polling.job().run({})
    with followed.engine.store.read() as connection:
        assert "503" in str(connection.execute(select(graph_marks.c.detail).where(graph_marks.c.name == "users")).scalar())
    followed.there.server.is_down = False
    followed.there.passing.now += 60
    assert followed.poll() == {ALICE: LEFT}


def test_users_are_taken_in_also_while_groups_cannot_be_asked(followed: Followed) -> None:
    followed.poll()
    followed.tenant.disable(BOB)
    followed.there.server.granted = frozenset({"User.Read.All"})
    with pytest.raises(GraphFault):
        followed.polling.poll()
    assert [arguments["person"] for job, arguments in followed.ordered() if job == CHECK] == [BOB]


def test_the_timetable_asks_as_often_as_it_says(followed: Followed, clock: Clock) -> None:
    assert followed.polling.timetable().cron == "*/15 * * * * *"


@pytest.mark.parametrize("moment", ["asked", "between", "failing"])
def test_a_check_that_is_given_up_has_everybody_checked_whatever_is_under_way(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    followed.poll()
    followed.tenant.disable(ALICE)
    followed.polling.poll()
    lost = [arguments for job, arguments in followed.ordered() if job == CHECK]
    assert [one["person"] for one in lost] == [ALICE]
    followed.jobs.orders.clear()
    ask = followed.there.graph.changed_users

    def give_up() -> None:
        followed.checks.failed(lost[0], ArmError("ServiceUnavailable", "Graph is away.", status=503))

    def asked(link: str = "") -> Changes:
        found = ask(link)
        give_up()
        return found

    if moment == "asked":
        monkeypatch.setattr(followed.there.graph, "changed_users", asked)
    else:
        give_up()
    if moment == "failing":
        followed.there.server.is_down = True
        followed.polling.job().run({})
        assert followed.run_checks() == {}
        followed.there.server.is_down = False
        followed.there.passing.now += 60
    followed.polling.poll()
    monkeypatch.undo()
    assert followed.run_checks() | followed.poll() == {ALICE: GONE, BOB: SAME}
    assert followed.poll() == {}, "once"
