"""What groups are called: told by Graph seldom, by a provisioned directory at once, and never a reason for anything to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from isthmus.access.group_names import GraphNames, provisioned_names
from isthmus.store import Store
from tests.fakes.entra import guid
from tests.fakes.graph_client import Reached, reached
from tests.support.clock import Clock
from tests.support.groups import provision_group

DEV, OPS, NONE = guid("dev"), guid("ops"), guid("none")


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        tenant = made.server.tenant
        tenant.names = {tenant.group(DEV): "Developers", tenant.group(OPS): "Operations"}
        yield made


def asked(there: Reached) -> int:
    return there.server.calls.count("GET /v1.0/groups")


def test_names_are_told_in_the_spelling_of_the_question_and_what_is_none_is_left_out(there: Reached) -> None:
    names = GraphNames(there.graph)
    assert names({DEV.upper(), OPS, NONE, "admins"}) == {DEV.upper(): "Developers", OPS: "Operations"}
    assert names(()) == {}
    assert asked(there) == 1


def test_names_are_kept_for_an_hour(there: Reached, clock: Clock) -> None:
    names = GraphNames(there.graph, clock=clock)
    assert names({DEV}) == {DEV: "Developers"}
    there.server.tenant.names[DEV] = "Builders"
    clock.advance(3_599)
    assert names({DEV, NONE}) == {DEV: "Developers"}
    assert names({DEV, NONE}) == {DEV: "Developers"}
    assert asked(there) == 2, "a group that is not there is not looked for each time"
    clock.advance(2)
    assert names({DEV}) == {DEV: "Builders"}


def test_while_graph_is_away_what_is_known_is_told_and_nobody_waits_for_it(there: Reached, clock: Clock) -> None:
    names = GraphNames(there.graph, clock=clock)
    assert names({DEV}) == {DEV: "Developers"}
    clock.advance(3_601)
    there.server.is_down = True
    assert names({DEV, OPS}) == {DEV: "Developers"}
    before = asked(there)
    there.server.is_down = False
    assert names({DEV, OPS}) == {DEV: "Developers"}
    assert asked(there) == before
    clock.advance(61)
    assert names({DEV, OPS}) == {DEV: "Developers", OPS: "Operations"}


def test_without_the_right_to_read_groups_there_are_no_names(there: Reached) -> None:
    there.server.granted = frozenset({"User.Read.All"})
    assert GraphNames(there.graph)({DEV}) == {}


def test_many_groups_take_a_call_for_fifteen_and_not_all_at_once(there: Reached) -> None:
    many = {there.server.tenant.group(guid(f"many {number}")): f"Many {number}" for number in range(50)}
    there.server.tenant.names |= many
    names = GraphNames(there.graph)
    assert len(names(many)) == 45
    assert asked(there) == 3
    assert names(many) == many
    assert asked(there) == 4


def test_who_comes_while_somebody_asks_does_not_wait(there: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    names = GraphNames(there.graph)
    began, goes_on = threading.Event(), threading.Event()
    ask = there.graph.group_names

    def slow(groups: frozenset[str]) -> object:
        began.set()
        assert goes_on.wait(30)
        return ask(groups)

    monkeypatch.setattr(there.graph, "group_names", slow)
    found: list[object] = []
    first = threading.Thread(target=lambda: found.append(names({DEV})))
    first.start()
    assert began.wait(30)
    assert names({DEV}) == {}
    goes_on.set()
    first.join(30)
    assert found == [{DEV: "Developers"}]


def test_a_provisioned_directory_tells_names_as_they_were_written(store: Store) -> None:
    with store.begin() as connection:
        provision_group(connection, DEV, "Die GRÖẞTEN")
    names = provisioned_names(store)
    assert names({DEV.upper(), DEV, NONE}) == {DEV.upper(): "Die GRÖẞTEN", DEV: "Die GRÖẞTEN"}
    assert names({f"group {number}" for number in range(900)}) == {}
