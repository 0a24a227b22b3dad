"""Windowed lists and actions that only read, over a table of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy import select

from isthmus.api.access import Access
from isthmus.api.arm import Arm
from isthmus.api.wire import Incoming
from isthmus.arm import paging
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.ids import subscription_id
from isthmus.arm.types import Action, Answer, Ask, Registry, ResourceType, Scope, Window
from isthmus.engine import Engine, Lookup
from isthmus.identity.principal import Principal
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.fakes.jobs import RecordedJobs

NUMBERS = range(25)


class Doorkeeper:
    """Lets everybody in who asks for nothing but to read, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def caller(self, _authorization: str | None) -> Principal:
        """Always the same person."""
        return Principal(object_id="p", kind="user", name="Paula", tenant="t")

    def require_standing(self, _caller: Principal) -> None:
        """Nobody signed in."""

    def judge(self, _caller: Principal) -> Callable[[str, str], bool]:
        """Reads are allowed everywhere."""
        return lambda action, _scope: action.endswith("/read")

    def require(self, _caller: Principal, action: str, _scope: str) -> None:
        """Raises ArmError 403 for what is not a read."""
        self.asked.append(action)
        if not action.endswith("/read"):
            raise ArmError("AuthorizationFailed", "Only reading is allowed here.", status=403)


def numbers(ask: Ask) -> Window:
    """Numbers, ordered and cut as asked."""
    skip, top = paging.skip_of(ask.query), paging.page_size(ask.query)
    _, descends = paging.order_of(ask.query, ("size",), default="size")
    ordered = sorted(NUMBERS, reverse=descends)
    items = [{"name": str(number)} for number in ordered[skip : skip + top]]
    return Window(items=items, count=len(ordered) if paging.wants_count(ask.query) else None, more=len(ordered) > skip + top)


def answered(_resource: Resource | None, _ask: Ask) -> Answer:
    return Answer(body={"fine": True})


def refusing(_resource: Resource | None, _ask: Ask) -> Answer:
    raise ArmError("NotToday", "This cannot be answered today.", status=409)


def writing(_resource: Resource | None, ask: Ask) -> Answer:
    return Answer(change=Change(puts=(Resource(id=subscription_id(ask.new_guid())),)))


ROW = ResourceType(
    name="Test.Numbers/numbers",
    scopes=frozenset({Scope.TENANT}),
    window=numbers,
    actions=(
        Action(name="look", act=answered, needs_resource=False, reads=True),
        Action(name="fail", act=refusing, needs_resource=False, reads=True),
        Action(name="lie", act=writing, needs_resource=False, reads=True),
        Action(name="push", act=answered, needs_resource=False),
    ),
)


class Table:
    """The endpoint over one row."""

    def __init__(self, store: Store) -> None:
        self.store, self.door = store, Doorkeeper()
        guids = itertools.count()
        engine = Engine(store, RecordedJobs(), clock=lambda: 1.0, new_guid=lambda: f"g{next(guids)}")
        access = cast(Access, self.door)
        self.arm = Arm(registry=Registry([ROW]), engine=engine, lookup=Lookup(store), access=access, tenant="t", new_guid=engine.new_guid)

    def ask(self, method: str, path: str = "/providers/Test.Numbers/numbers", **query: str) -> Any:
        """The body of an answer."""
        sent = {"api-version": "2026-11-01"} | {f"${name}": value for name, value in query.items()}
        request = Incoming(method=method, path=path, query=sent, headers={}, body=b"", base_url="https://here", correlation="c")
        return self.arm.answer(request).body

    def records(self) -> list[tuple[str, str]]:
        """Action and outcome of what is on record."""
        with self.store.read() as connection:
            return [(row.action, row.outcome) for row in connection.execute(select(audit_records).order_by(audit_records.c.seq))]


@pytest.fixture
def table(store: Store) -> Table:
    return Table(store)


def names(body: Any) -> list[int]:
    return [int(one["name"]) for one in body["value"]]


def test_a_window_is_cut_ordered_and_counted_as_asked(table: Table) -> None:
    assert names(table.ask("GET")) == list(NUMBERS)
    page = table.ask("GET", top="3", skip="10", orderby="size desc", count="true")
    assert names(page) == [14, 13, 12]
    assert page["count"] == 25
    assert "count" not in table.ask("GET", top="3")


def test_links_lead_from_window_to_window(table: Table) -> None:
    seen, skip = [], "0"
    while skip:
        page = table.ask("GET", top="10", skip=skip, orderby="SIZE DESC")
        seen += names(page)
        link = page.get("nextLink", "")
        assert "$top=10" in link or not link
        skip = link.rpartition("$skip=")[2]
    assert seen == sorted(NUMBERS, reverse=True)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"skip": wrong}, "InvalidSkip")
        for wrong in ("-1", "x", "", "10000001", "1" * 40, "1.0", "+1", "\N{ARABIC-INDIC DIGIT THREE}", "1\n")
    ]
    + [({"orderby": wrong}, "InvalidOrderBy") for wrong in ("weight", "size up", "size,size", "size desc desc", "", "size;--", "\0")]
    + [({"count": wrong}, "InvalidCount") for wrong in ("1", "yes", "")]
    + [({"top": "0"}, "InvalidTop")],
)
def test_windows_refuse_what_they_cannot_read(table: Table, query: dict[str, str], code: str) -> None:
    with pytest.raises(ArmError) as caught:
        table.ask("GET", **query)
    assert caught.value.code == code
    assert caught.value.status == 400


ONE = "/providers/Test.Numbers/numbers/one"


def test_an_action_that_reads_needs_the_right_to_read_and_leaves_no_record(table: Table) -> None:
    assert table.ask("POST", f"{ONE}/look") == {"fine": True}
    assert table.door.asked == ["Test.Numbers/numbers/read"]
    with pytest.raises(ArmError, match="today"):
        table.ask("POST", f"{ONE}/fail")
    assert table.records() == []


def test_other_actions_need_a_right_of_their_own_and_their_refusals_are_recorded(table: Table) -> None:
    for path in (f"{ONE}/push", f"{ONE}/unheard", f"{ONE}/unheard/two/look"):
        with pytest.raises(ArmError):
            table.ask("POST", path)
    assert table.door.asked == ["Test.Numbers/numbers/push/action"]
    assert table.records() == [("POST action", "refused")] * 3


def test_a_refused_reader_is_recorded_as_one(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table.door, "require", lambda *_: _refuse())
    with pytest.raises(ArmError):
        table.ask("POST", f"{ONE}/look")
    assert table.records() == [("POST read", "refused")]


def test_an_action_that_claims_to_read_writes_nothing(table: Table) -> None:
    with pytest.raises(ValueError, match="declared to read"):
        table.ask("POST", f"{ONE}/lie")
    assert table.records() == []


def _refuse() -> None:
    raise ArmError("AuthorizationFailed", "Nothing is allowed here.", status=403)
