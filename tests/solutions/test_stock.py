"""The index says what the projections say, whatever is done to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from isthmus.arm.change import Change
from isthmus.arm.types import Actor
from isthmus.solutions import stock
from isthmus.solutions.stock import BETWEEN, Stock
from isthmus.store.tables import installation, projections, resource_references, resources
from tests.solutions.conftest import ACCOUNT, GROUP, PROJECTIONS, Bench
from tests.support.examples import examples

USER = Actor(id="user", kind="User")
VPC, OTHER = "vpc-0000000000000000a", "vpc-0000000000000000b"
VOLUME = "vol-0000000000000000c"


@pytest.fixture
def index(bench: Bench) -> Stock:
    """The index, kept by the bench's engine."""
    made = Stock(engine=bench.engine)
    bench.engine.arrivals, bench.engine.removals = dict(made.arrivals), dict(made.removals)
    return made


def rows(bench: Bench) -> dict[str, Any]:
    """Rows of the index by name of the projection."""
    with bench.engine.store.read() as connection:
        return {row.key.rpartition("/")[2]: row for row in connection.execute(select(projections))}


def references(bench: Bench) -> set[tuple[str, str]]:
    """Name of the projection and what it names."""
    joined = select(projections.c.key, resource_references.c.target).join(
        resource_references, resource_references.c.resource == projections.c.id
    )
    with bench.engine.store.read() as connection:
        return {(row.key.rpartition("/")[2], row.target) for row in connection.execute(joined)}


def test_a_projection_is_indexed_with_what_it_names(bench: Bench, index: Stock) -> None:
    bench.account.cells = {
        ("eu-west-1", "ec2Volumes"): {VOLUME: {"vpcId": VPC, "volumeId": VOLUME, "tags": {"Name": "Büro", "aws:stack:x": "y"}}},
        ("", "iamRoles"): {"admin": {}},
    }
    bench.sync()
    found = rows(bench)
    row = found[VOLUME]
    assert (row.account, row.region, row.type, row.aws_id) == (ACCOUNT, "eu-west-1", "ec2Volumes", VOLUME)
    assert (row.subscription, row.resource_group) == (GROUP.subscription, PROJECTIONS.name)
    assert VOLUME in row.words
    assert row.tags == f"\nname{BETWEEN}büro\naws:stack:x{BETWEEN}y\n"
    assert found["admin"].region == ""
    assert references(bench) == {(VOLUME, VPC)}


def test_changes_of_a_projection_change_its_references_and_nothing_else(bench: Bench, index: Stock) -> None:
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {VOLUME: {"a": VPC, "b": "sg-0a1b2c3d"}}}
    bench.sync()
    before = rows(bench)[VOLUME]
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {VOLUME: {"a": OTHER, "b": "sg-0a1b2c3d"}}}
    bench.sync()
    after = rows(bench)[VOLUME]
    assert references(bench) == {(VOLUME, OTHER), (VOLUME, "sg-0a1b2c3d")}
    assert after.id == before.id
    assert after.changed_at > before.changed_at


def test_tags_of_people_are_found_beside_those_of_aws(bench: Bench, index: Stock) -> None:
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {VOLUME: {"tags": {"env": "prod"}}}}
    bench.sync()
    id = PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", VOLUME)
    stored = bench.lookup.find(id)
    assert stored is not None
    bench.engine.apply(Change(puts=(replace(stored, tags={"Owner": "Me"}),)), USER, "w", "x")
    assert rows(bench)[VOLUME].tags == f"\nenv{BETWEEN}prod\nowner{BETWEEN}me\n"


def test_what_is_deleted_leaves_the_index(bench: Bench, index: Stock) -> None:
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {VOLUME: {"a": VPC}, "vol-0000000000000000d": {"a": VPC}}}
    bench.sync()
    bench.account.cells["eu-west-1", "ec2Volumes"].pop(VOLUME)
    bench.sync()
    assert set(rows(bench)) == {"vol-0000000000000000d"}
    assert references(bench) == {("vol-0000000000000000d", VPC)}
    left = PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-0000000000000000d")
    bench.engine.apply(Change(deletes=(left,)), USER, "w", "x")
    assert rows(bench) == {}
    assert references(bench) == set()


def test_an_instance_is_indexed_below_its_machine_and_goes_with_it(bench: Bench, index: Stock) -> None:
    bench.account.cells = {("eu-west-1", "ec2Instances"): {"i-0000000000000000a": {"vpcId": VPC}}}
    bench.sync()
    assert rows(bench)["default"].type == "ec2Instances"
    machine = PROJECTIONS.extension("Microsoft.HybridCompute/machines", "i-0000000000000000a")
    bench.engine.apply(Change(deletes=(machine,)), USER, "w", "x")
    assert rows(bench) == {}


def test_a_database_that_is_older_than_the_index_is_indexed_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "_CHUNK", 4)
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {f"vol-{n:017x}": {"a": VPC} for n in range(10)}}
    bench.sync()
    late = Stock(engine=bench.engine)
    assert rows(bench) == {}
    assert late.catch_up() == 10
    assert len(rows(bench)) == len(references(bench)) == 10
    with bench.engine.store.begin() as connection:
        connection.execute(delete(projections))
        connection.execute(delete(resource_references))
    assert late.catch_up() == 0, "it is done once"
    monkeypatch.setattr(stock, "_COMPLETE", "complete:2")
    assert late.catch_up() == 10, "and again when rows are made another way"
    assert len(rows(bench)) == len(references(bench)) == 10


def test_indexing_that_broke_off_goes_on_where_it_stood(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "_CHUNK", 4)
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {f"vol-{n:017x}": {"a": VPC} for n in range(10)}}
    bench.sync()
    late, follow, calls = Stock(engine=bench.engine), stock.follow, []

    def dies(connection: Any, came: Any) -> None:
        follow(connection, came)
        calls.append(len(came))
        if len(calls) == 2:
            raise ConnectionResetError("the process dies here")

    with monkeypatch.context() as patch:
        patch.setattr(stock, "follow", dies)
        with pytest.raises(ConnectionResetError):
            late.catch_up()
    assert len(rows(bench)) == 4
    assert late.catch_up() == 6
    assert len(rows(bench)) == len(references(bench)) == 10
    with bench.engine.store.read() as connection:
        assert connection.execute(select(installation.c.value).where(installation.c.name == "projections")).scalar() == "complete:1"


def test_names_that_databases_refuse_or_cannot_hold_are_indexed_all_the_same(bench: Bench, index: Stock) -> None:
    bench.account.cells = {("eu-west-1", "ec2Volumes"): {VOLUME: {}}}
    bench.sync()
    stored = bench.lookup.find(PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", VOLUME))
    assert stored is not None
    odd = {"publicCloudResourceName": "a\0b" + "é" * 5000, "arn": "arn:\0" + "é" * 5000, "awsTags": {"\0": "\0"}}
    bench.engine.apply(Change(puts=(replace(stored, properties={**stored.properties, **odd}),)), USER, "w", "x")
    row = rows(bench)[VOLUME]
    assert row.name.startswith("abé")
    assert len(row.name) <= 512


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scans=st.lists(
        st.dictionaries(st.integers(0, 7), st.frozensets(st.sampled_from([VPC, OTHER, "sg-0a1b2c3d"])), max_size=8), min_size=1, max_size=4
    )
)
def test_after_any_scans_the_index_is_what_indexing_anew_would_make(bench: Bench, index: Stock, scans: list[Any]) -> None:
    for found in scans:
        bench.account.cells = {("eu-west-1", "ec2Volumes"): {f"vol-{n:017x}": {"names": sorted(names)} for n, names in found.items()}}
        bench.sync(confirm=True)
    kept = {(name, row.type, row.words, row.tags, row.aws_id) for name, row in rows(bench).items()}
    named = references(bench)
    assert named == {(f"vol-{n:017x}", name) for n, names in scans[-1].items() for name in names}
    with bench.engine.store.begin() as connection:
        for table in (projections, resource_references):
            connection.execute(delete(table))
        connection.execute(delete(installation).where(installation.c.name == "projections"))
        stored = connection.execute(select(resources.c.key).where(resources.c.source.is_not(None))).scalars().all()
    index.catch_up()
    assert kept == {(name, row.type, row.words, row.tags, row.aws_id) for name, row in rows(bench).items()}
    assert named == references(bench)
    assert len(kept) == len(stored)
