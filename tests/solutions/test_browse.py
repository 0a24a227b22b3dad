"""Windows, counts and facets say what reading every row would say, and end in time."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.arm.errors import ArmError
from isthmus.solutions import browse
from isthmus.solutions.browse import ORDERS, Browser, Filters
from isthmus.solutions.stock import BETWEEN
from isthmus.store import Store, dialect
from isthmus.store.tables import projections, resources
from tests.support.examples import examples

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
ACCOUNTS, REGIONS = ("111111111111", "222222222222"), ("", "eu-west-1", "us-east-1")
KINDS = ("ec2Volumes", "ec2Vpcs", "s3Buckets")
NAMES = ("alpha", "Beta", "50%_off", "émile", "zeta")
TAGS = (("env", "Prod"), ("env", "test"), ("aws:stack:name", "a:b"))


def row(number: int, subscription: str = SUBSCRIPTION) -> dict[str, Any]:
    """A row of the index, unlike its neighbours."""
    account, kind, name = ACCOUNTS[number % 2], KINDS[number % 3], f"{NAMES[number % 5]}-{number:03}"
    key = f"/subscriptions/{subscription}/resourcegroups/aws_{account}/providers/microsoft.awsconnector/{kind.lower()}/{number}"
    tag = TAGS[number % 3]
    return {
        "key": key,
        "subscription": subscription,
        "resource_group": f"aws_{account}",
        "account": account,
        "region": REGIONS[number // 2 % 3],
        "type": kind,
        "name": name,
        "aws_id": f"id-{number}",
        "changed_at": 1000 + number * 7 % 40,
        "words": f"{name}\narn:aws:x:{number}".lower(),
        "tags": f"\n{tag[0]}{BETWEEN}{tag[1]}\n".lower(),
    }


ROWS = [row(number) for number in range(60)] + [row(number, "00000000-0000-4000-8000-00000000000f") for number in range(5)]


@pytest.fixture
def browser(store: Store) -> Browser:
    """A browser over 60 projections of one subscription and five of another."""
    texts = {"name": "x", "parent": "", "location": "", "etag": "e", "unique_key": None, "source": None, "digest": None, "document": "{}"}
    with store.begin() as connection:
        dialect.upsert(connection, projections, ROWS, on=("key",))
        shared = ("key", "subscription", "resource_group", "type")
        stored = [{**{name: one[name] for name in shared}, **texts, "id": one["key"], "created_at": 1, "changed_at": 1} for one in ROWS]
        dialect.upsert(connection, resources, stored)
    return Browser(store=store, list_seconds=60, count_seconds=60, facet_seconds=60)


def matches(one: dict[str, Any], wanted: Filters) -> bool:
    """The filters, said plainly."""
    lines = [line.split(BETWEEN) for line in one["tags"].strip("\n").split("\n")]
    tag = wanted.tag.lower()
    return (
        one["subscription"] == wanted.subscription
        and wanted.group in ("", one["resource_group"])
        and wanted.account in ("", one["account"])
        and wanted.region in (None, one["region"])
        and wanted.type in ("", one["type"])
        and wanted.name.lower() in one["words"]
        and (not tag or any(tag in (name, f"{name}:{value}") for name, value in lines))
    )


def place(one: dict[str, Any], order: str) -> list[Any]:
    """What the row is ordered by, before its number."""
    return [one[name] for name in ORDERS[order][:-1]]


filters = st.builds(
    Filters,
    subscription=st.just(SUBSCRIPTION),
    group=st.sampled_from(["", "", "aws_111111111111", "aws_9"]),
    account=st.sampled_from(["", "", *ACCOUNTS, "333333333333"]),
    region=st.sampled_from([None, None, *REGIONS]),
    type=st.sampled_from(["", "", *KINDS]),
    name=st.sampled_from(["", "", "ALPHA", "%", "_", "50%_o", "É", "arn:aws:x:1", "\\", "'", "no such"]),
    tag=st.sampled_from(["", "", "env", "ENV:prod", "env:", "aws:stack:name", "aws:stack:name:a:b", "aws", "%", "prod"]),
)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, order=st.sampled_from(sorted(ORDERS)), descends=st.booleans(), skip=st.integers(0, 70), top=st.integers(1, 70))
def test_windows_counts_and_facets_are_those_of_all_rows(
    browser: Browser, wanted: Filters, order: str, descends: bool, skip: int, top: int
) -> None:
    expected = sorted((one for one in ROWS if matches(one, wanted)), key=lambda one: place(one, order), reverse=descends)
    found, more = browser.window(wanted, order=order, descends=descends, skip=skip, top=top)
    shown = [{name: getattr(one, name) for name in ROWS[0]} for one in found]
    assert [place(one, order) for one in shown] == [place(one, order) for one in expected[skip : skip + top]]
    assert more == (len(expected) > skip + top)
    assert {one["key"] for one in shown} <= {one["key"] for one in expected}
    assert browser.count(wanted) == len(expected)
    facets = browser.facets(wanted)
    assert (facets.total, facets.is_complete) == (len(expected), True)
    for values, column in ((facets.accounts, "account"), (facets.regions, "region"), (facets.types, "type")):
        assert dict(values) == {value: len(list(group)) for value, group in _by(expected, column)}
        assert [count for _, count in values] == sorted((count for _, count in values), reverse=True)


def _by(found: list[dict[str, Any]], column: str) -> Any:
    return itertools.groupby(sorted(one[column] for one in found))


@pytest.mark.parametrize("order", sorted(ORDERS))
@pytest.mark.parametrize("descends", [False, True])
def test_windows_in_a_row_show_every_row_once(browser: Browser, order: str, descends: bool) -> None:
    wanted, seen, skip, more = Filters(subscription=SUBSCRIPTION), [], 0, True
    while more:
        found, more = browser.window(wanted, order=order, descends=descends, skip=skip, top=7)
        seen += [one.key for one in found]
        skip += len(found)
    assert sorted(seen) == sorted(one["key"] for one in ROWS if one["subscription"] == SUBSCRIPTION)


@pytest.fixture
def hurried(browser: Browser) -> Browser:
    """A browser that has no time, over rows that take some."""
    more = [row(number) | {"key": f"{row(number)['key']}-more", "words": "x" * 4000} for number in range(60, 6060)]
    with browser.store.begin() as connection:
        dialect.upsert(connection, projections, more, on=("key",))
    return Browser(store=browser.store, list_seconds=0.001, count_seconds=0.001, facet_seconds=0.001)


def test_what_takes_too_long_is_broken_off_and_said(hurried: Browser) -> None:
    wanted = Filters(subscription=SUBSCRIPTION, name="x" * 200 + "y", tag="never")
    with pytest.raises(ArmError) as caught:
        hurried.window(wanted, order="name", descends=False, skip=0, top=10)
    assert caught.value.code == "FilterTooBroad"
    assert hurried.count(wanted) is None
    assert not hurried.facets(wanted).is_complete
    patient = replace(hurried, count_seconds=60, facet_seconds=60)
    assert patient.count(wanted) == 0, "the connections are as good as before"
    assert patient.facets(Filters(subscription=SUBSCRIPTION)).total == 6060


def test_facets_without_time_for_all_are_of_a_part(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "SAMPLE", 10)
    calls: list[int] = []

    def no_time_at_first(connection: Any, wanted: Filters, most: int) -> Any:
        calls.append(most)
        if len(calls) == 1:
            raise dialect.TimeIsUp
        return original(connection, wanted, most)

    original = browse._facets
    monkeypatch.setattr(browse, "_facets", no_time_at_first)
    found = browser.facets(Filters(subscription=SUBSCRIPTION))
    assert (found.total, found.is_complete) == (10, False)
    assert sum(count for _, count in found.types) == 10
