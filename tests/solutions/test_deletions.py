"""What a scan takes away and what it leaves: rows that moved to another cell, connectors made anew, cells that are deselected."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.types import Actor
from isthmus.store.tables import resources, scopes
from tests.solutions.conftest import CONNECTOR, PROJECTIONS, SOLUTION, Bench
from tests.support.postgres import until_somebody_waits
from tests.support.waiting import LOADED

USER = Actor(id="user", kind="User")
VOLUME = PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-00000000000000000")


def volumes(count: int, **more: Any) -> dict[str, dict[str, Any]]:
    return {f"vol-{number:017x}": {"size": number, **more} for number in range(count)}


def change(bench: Bench, id: Any, **properties: Any) -> None:
    found = bench.lookup.find(id)
    assert found is not None
    bench.engine.apply(Change(puts=(replace(found, properties={**found.properties, **properties}),)), USER, "w", "x")


def select_cells(bench: Bench, **settings: str) -> None:
    change(bench, SOLUTION, solutionSettings={**bench.solution()["solutionSettings"], **settings})


def tag(bench: Bench, **tags: str) -> None:
    found = bench.lookup.find(VOLUME)
    assert found is not None
    bench.engine.apply(Change(puts=(replace(found, tags=tags),)), USER, "w", "x")


def scope(bench: Bench, kind: str) -> Any:
    with bench.engine.store.read() as connection:
        return connection.execute(select(scopes).where(scopes.c.type == kind)).one_or_none()


@pytest.mark.parametrize("under", ["conn", "another"])
def test_a_connector_made_anew_takes_over_what_is_there(bench: Bench, under: str) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(3)}
    bench.sync()
    tag(bench, owner="me")
    connector, solution = bench.lookup.find(CONNECTOR), bench.lookup.find(SOLUTION)
    assert connector is not None
    assert solution is not None
    bench.engine.apply(Change(deletes=(CONNECTOR,)), USER, "d", "x")
    assert bench.lookup.find(SOLUTION) is None
    fresh = {"connectorPrimaryIdentifier": "0a1b2c3d-0000-4000-8000-000000000002"}
    new = replace(connector, id=CONNECTOR.scope.extension(CONNECTOR.type, under), properties={**connector.properties, **fresh})  # type: ignore[union-attr]
    settled = replace(solution, id=new.id.extension(SOLUTION.type, "inv"), properties={**solution.properties, "solutionId": "t"})
    bench.engine.apply(Change(puts=(new, settled)), USER, "w", "x")
    del bench.account.cells["us-east-1", "ec2Volumes"]["vol-00000000000000002"]
    bench.clock.advance(60)
    bench.stock.sync({"solution": str(settled.id), "scan": "t:1"})
    assert bench.names() == {"ec2Volumes/vol-00000000000000000", "ec2Volumes/vol-00000000000000001"}, "old rows are not immortal"
    volume = bench.lookup.find(VOLUME)
    assert volume is not None
    assert dict(volume.tags) == {"owner": "me"}
    assert volume.properties["publicCloudConnectorsResourceId"] == str(new.id)


@pytest.mark.parametrize(("old", "new"), [("eu-west-1", "us-east-1"), ("us-east-1", "eu-west-1")])
def test_what_another_cell_lists_now_is_not_deleted(bench: Bench, old: str, new: str) -> None:
    """The same id, gone from one region and there in another; whichever of the two is listed first."""
    bench.account.cells = {(old, "ec2Volumes"): volumes(1), (new, "ec2Volumes"): {}}
    bench.sync()
    bench.account.cells = {(new, "ec2Volumes"): volumes(1), (old, "ec2Volumes"): {}}
    bench.sync()
    found = bench.lookup.find(VOLUME)
    assert found is not None
    assert found.properties["awsRegion"] == new
    bench.account.cells = {(new, "ec2Volumes"): {}, (old, "ec2Volumes"): {}}
    bench.sync()
    assert bench.names() == set()


def test_many_vanished_rows_are_asked_for_in_parts(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1200)}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): {}}
    most = 0

    def watch(_connection: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, many: bool) -> None:
        nonlocal most
        most = most if many else max(most, len(parameters))

    event.listen(bench.engine.store.engine, "before_cursor_execute", watch)
    bench.sync(confirm=True)
    assert bench.names() == set()
    assert most <= 500


def test_a_deselected_service_says_so_and_goes_when_somebody_confirms(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(2), ("us-east-1", "sqsQueues"): {"q": {}}, ("us-east-1", "snsTopics"): {}}
    bench.sync()
    select_cells(bench, cloudProviderServiceTypes="sqs")
    bench.account.cells = {("us-east-1", "sqsQueues"): {"q": {}}}
    result = bench.sync()
    assert (result["status"], result["outcomes"]) == ("Completed", {"complete": 1, "not-selected": 1})
    row = scope(bench, "ec2Volumes")
    assert (row.outcome, row.rows, row.complete_at is not None) == ("not-selected", 2, True)
    assert "cloudProviderServiceTypes" in row.reason
    assert scope(bench, "snsTopics") is None, "nothing is kept of it, so there is nothing to say"
    assert "not looked at any more: 1" in bench.solution()["statusDetails"]
    assert len(bench.names()) == 3
    bench.sync()
    assert scope(bench, "ec2Volumes").complete_at == row.complete_at
    bench.sync(confirm=True)
    assert bench.names() == {"sqsQueues/q_us-east-1"}
    assert scope(bench, "ec2Volumes") is None
    assert bench.solution()["statusDetails"] == "1 resources in 1 complete scopes."


def test_a_deselected_region_goes_when_somebody_confirms_and_an_unseen_one_stays(bench: Bench) -> None:
    bench.account.cells = {(region, "ec2Volumes"): {f"vol-{region}": {}} for region in ("us-east-1", "eu-west-1", "me-south-1")}
    bench.sync()
    select_cells(bench, cloudProviderRegions="us-east-1, me-south-1")
    bench.account.cells = {("us-east-1", "ec2Volumes"): {"vol-us-east-1": {}}}
    bench.sync(confirm=True)
    assert len(bench.names()) == 2, "what was selected and not looked at stays"
    row = scope_of(bench, "me-south-1")
    assert row.outcome == "not-selected"
    assert "closed in the account" in row.reason


def scope_of(bench: Bench, region: str) -> Any:
    with bench.engine.store.read() as connection:
        return connection.execute(select(scopes).where(scopes.c.region == region)).one()


def test_a_frozen_region_is_still_frozen_for_a_repeated_step(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(30)}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): {}}
    assert bench.sync("s:again")["frozen"] == {"us-east-1": 30}
    assert bench.sync("s:again")["frozen"] == {"us-east-1": 30}


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_tag_that_is_written_while_a_scan_stores_is_kept(bench: Bench) -> None:
    """A writer has changed the tags and not committed: the scan must wait for it instead of writing back what it read before."""
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1)}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1, encrypted=True)}
    found = bench.lookup.find(VOLUME)
    assert found is not None
    with bench.engine.store.begin() as connection:
        connection.execute(resources.update().where(resources.c.key == VOLUME.key).values(document=_tagged(connection, VOLUME.key)))
        scan = threading.Thread(target=bench.sync)
        scan.start()
        until_somebody_waits(bench.engine.store)
    scan.join(timeout=30 * LOADED)
    changed = bench.lookup.find(VOLUME)
    assert changed is not None
    assert (dict(changed.tags), changed.properties["awsProperties"]["encrypted"]) == ({"owner": "me"}, True)


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_deletions_of_two_regions_do_not_lock_out_a_writer(bench: Bench) -> None:
    """A writer has a row of the second region and needs the audit log's lock last, as every writer does."""
    places = [(region, "ec2Volumes") for region in ("eu-west-1", "us-east-1")]
    bench.account.cells = {place: {f"vol-{place[0]}": {}} for place in places}
    bench.sync()
    bench.account.cells = {place: {} for place in places}
    key = PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-us-east-1_us-east-1").key
    with bench.engine.store.begin() as connection:
        assert connection.execute(select(resources.c.key).where(resources.c.key == key).with_for_update()).first()
        scan = threading.Thread(target=bench.sync)
        scan.start()
        until_somebody_waits(bench.engine.store)
        bench.engine.apply_within(connection, Change(detail={"what": "a user's write"}), USER, "w", "x")
    scan.join(timeout=30 * LOADED)
    assert bench.names() == set()
    assert bench.solution()["status"] == "Completed"


@pytest.mark.postgresql
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_machine_that_a_person_puts_meanwhile_is_not_made_bare(bench: Bench) -> None:
    """A person has put the instance's machine and not committed: the scan must wait and leave it as it is."""
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1)}
    bench.sync()
    bench.account.cells["us-east-1", "ec2Instances"] = {"i-0a": {"state": {"name": {"value": "running"}}}}
    machine = PROJECTIONS.extension("Microsoft.HybridCompute/machines", "i-0a")
    scan = threading.Thread(target=bench.sync)

    def put(_old: Resource | None) -> Change:
        scan.start()
        until_somebody_waits(bench.engine.store)
        return Change(puts=(Resource(id=machine, location="eastus", tags={"owner": "me"}),))

    bench.engine.write(machine, put, USER, "w")
    scan.join(timeout=30 * LOADED)
    found = bench.lookup.find(machine)
    assert found is not None
    assert dict(found.tags) == {"owner": "me"}
    assert "ec2Instances/default" in bench.names()


def _tagged(connection: Connection, key: str) -> str:
    document = connection.execute(select(resources.c.document).where(resources.c.key == key)).scalar_one()
    return str(document).replace('"tags":{}', '"tags":{"owner":"me"}')
