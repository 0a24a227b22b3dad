"""A sync: what is read is stored, what is unchanged is not written, and only a complete cell deletes anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import verify
from isthmus.solutions import subject
from isthmus.store.tables import audit_records, registrations, resources, scopes
from tests.solutions.conftest import ACCOUNT, CONNECTOR, PROJECTIONS, SOLUTION, Bench
from tests.support.examples import examples

USER = Actor(id="user", kind="User")


def volumes(count: int, **more: Any) -> dict[str, dict[str, Any]]:
    return {f"vol-{number:017x}": {"size": number, **more} for number in range(count)}


def test_a_first_sync_makes_the_group_and_the_projections(bench: Bench) -> None:
    bench.account.cells = {
        ("eu-central-1", "ec2Volumes"): {"vol-0000000000000000a": {"size": 8, "tags": {"Name": "data"}}},
        ("", "iamRoles"): {"admin": {"path": "/"}},
        ("us-east-1", "sqsQueues"): {},
    }
    result = bench.sync()
    assert result["status"] == "Completed"
    assert bench.names() == {"ec2Volumes/vol-0000000000000000a", "iamRoles/admin"}
    group = bench.lookup.find(PROJECTIONS)
    assert group is not None
    assert (group.location, dict(group.tags)) == ("eastus", {"team": "platform"})
    volume = bench.lookup.find(PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-0000000000000000a"))
    assert volume is not None
    assert volume.location == "westeurope"
    assert dict(volume.tags) == {}
    properties = volume.properties
    assert properties["awsSourceSchema"] == "AWS::EC2::Volume"
    assert (properties["awsRegion"], properties["awsAccountId"], properties["awsTags"]) == ("eu-central-1", ACCOUNT, {"Name": "data"})
    assert properties["publicCloudConnectorsResourceId"] == str(CONNECTOR)
    role = bench.lookup.find(PROJECTIONS.extension("Microsoft.AwsConnector/iamRoles", "admin"))
    assert role is not None
    assert (role.location, role.properties["awsRegion"]) == ("eastus", "")
    solution = bench.solution()
    assert (solution["status"], solution["statusDetails"]) == ("Completed", "2 resources in 3 complete scopes.")
    assert solution["lastSyncTime"].endswith("Z")


def test_names_of_two_regions_do_not_collide(bench: Bench) -> None:
    for region in ("us-east-1", "eu-west-1"):
        bench.account.cells[region, "dynamoDBTables"] = {"orders": {}}
    bench.account.cells["us-east-1", "snsTopics"] = {
        "arn:aws:sns:us-east-1:123456789012:a/b": {},
        "arn:aws:sns:us-east-1:123456789012:a-b": {},
    }
    bench.sync()
    assert {name for name in bench.names() if "dynamo" in name} == {"dynamoDBTables/orders_us-east-1", "dynamoDBTables/orders_eu-west-1"}
    assert len([name for name in bench.names() if "sns" in name]) == 2


def test_an_unchanged_account_writes_no_projection(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(50)}
    bench.sync()
    with bench.engine.store.read() as connection:
        before = dict(connection.execute(select(resources.c.key, resources.c.etag).where(resources.c.source.is_not(None))).all())
    bench.sync()
    with bench.engine.store.read() as connection:
        after = dict(connection.execute(select(resources.c.key, resources.c.etag).where(resources.c.source.is_not(None))).all())
    assert before == after
    assert len(before) == 50


def test_a_change_keeps_the_users_tags(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1)}
    bench.sync()
    id = PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-00000000000000000")
    found = bench.lookup.find(id)
    assert found is not None
    bench.engine.apply(Change(puts=(replace(found, tags={"owner": "me"}),)), USER, "w", "x")
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1, encrypted=True)}
    bench.sync()
    changed = bench.lookup.find(id)
    assert changed is not None
    assert dict(changed.tags) == {"owner": "me"}
    assert changed.properties["awsProperties"]["encrypted"] is True


def test_a_failed_detail_keeps_what_was_known_and_says_so(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1, encrypted=True)}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): {"vol-00000000000000000": {"size": 9, "partial": True}}}
    bench.sync()
    changed = bench.lookup.find(PROJECTIONS.extension("Microsoft.AwsConnector/ec2Volumes", "vol-00000000000000000"))
    assert changed is not None
    assert changed.properties["awsProperties"]["encrypted"] is True
    assert changed.properties["awsProperties"]["size"] == 9
    with bench.engine.store.read() as connection:
        reason = connection.execute(select(scopes.c.reason).where(scopes.c.type == "ec2Volumes")).scalar()
    assert "no detail of vol-00000000000000000" in (reason or "")


@pytest.mark.parametrize("outcome", ["denied", "scp", "throttled", "error", "unsupported", "not-opted-in"])
def test_a_gap_deletes_nothing_and_is_said(bench: Bench, outcome: Any) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(5), ("us-east-1", "sqsQueues"): {"q": {}}}
    bench.sync()
    before = bench.names()
    bench.account.cells = {("us-east-1", "sqsQueues"): {"q": {}}}
    bench.account.broken = {("us-east-1", "ec2Volumes"): outcome}
    result = bench.sync()
    assert bench.names() == before
    assert result["outcomes"] == {"complete": 1, outcome: 1}
    troubled = outcome in ("denied", "scp", "throttled", "error")
    assert bench.solution()["status"] == ("CompletedWithGaps" if troubled else "Completed")
    assert f"1 {outcome}" in bench.solution()["statusDetails"]
    with bench.engine.store.read() as connection:
        row = connection.execute(select(scopes).where(scopes.c.type == "ec2Volumes")).one()
    assert (row.outcome, row.rows, row.complete_at is not None) == (outcome, 5, True)
    assert "x:List" in row.reason


def test_only_a_complete_cell_deletes_what_vanished(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(5)}
    bench.sync()
    del bench.account.cells["us-east-1", "ec2Volumes"]["vol-00000000000000003"]
    bench.sync()
    assert "ec2Volumes/vol-00000000000000003" not in bench.names()
    assert len(bench.names()) == 4


def test_a_mass_vanish_freezes_its_region_until_somebody_confirms(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(30), ("eu-west-1", "ec2Volumes"): {f"vol-1000000{n}": {} for n in range(3)}}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(10), ("eu-west-1", "ec2Volumes"): {"vol-00000000010000000": {}}}
    result = bench.sync()
    assert result["frozen"] == {"us-east-1": 20}
    assert len(bench.names()) == 31, "the other region lost its two, this one nothing"
    solution = bench.solution()
    assert solution["status"] == "CompletedWithGaps"
    assert "us-east-1 (20)" in solution["statusDetails"]
    assert "confirmDeletions" in solution["statusDetails"]
    bench.sync(confirm=True)
    assert len(bench.names()) == 11


def test_ten_may_always_vanish(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(10)}
    bench.sync()
    bench.account.cells = {("us-east-1", "ec2Volumes"): {}}
    bench.sync()
    assert bench.names() == set()


def test_an_untrusting_account_waits_with_its_reason(bench: Bench) -> None:
    bench.account.refusal = "Deploy the template first."
    assert bench.sync() == {"status": "AuthorizationPending"}
    assert (bench.solution()["status"], bench.solution()["statusDetails"]) == ("AuthorizationPending", "Deploy the template first.")
    bench.account.refusal = ""
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(1)}
    assert bench.sync()["status"] == "Completed"


def test_a_cloud_out_of_reach_is_no_missing_authorization(bench: Bench) -> None:
    bench.account.unreachable = "STS could not be reached."
    with pytest.raises(ArmError) as caught:
        bench.sync()
    assert (caught.value.status, caught.value.message) == (503, "STS could not be reached.")
    bench.stock.failed({"solution": str(SOLUTION), "scan": "s:1"}, caught.value)
    assert (bench.solution()["status"], bench.solution()["statusDetails"]) == ("Failed", "STS could not be reached.")


def test_instances_are_machines_with_an_extension_and_end_together(bench: Bench) -> None:
    running = {"state": {"name": {"value": "running"}}}
    bench.account.cells = {
        ("us-east-1", "ec2Instances"): {"i-0a": running, "i-0b": running, "i-0c": {"state": {"name": {"value": "terminated"}}}}
    }
    bench.sync()
    assert bench.names() == {"machines/i-0a", "machines/i-0b", "ec2Instances/default"}
    machine = bench.lookup.find(PROJECTIONS.extension("Microsoft.HybridCompute/machines", "i-0b"))
    assert machine is not None
    assert (dict(machine.extra), machine.location) == ({"kind": "AWS"}, "eastus")
    with bench.engine.store.begin() as connection:
        row = {
            "vm_id": "v",
            "resource": machine.id.key,
            "resource_id": str(machine.id),
            "principal_id": "p",
            "public_key": "k",
            "key_hash": "h",
        }
        connection.execute(insert(registrations).values(**row, state="enrolled"))
    bench.account.cells = {("us-east-1", "ec2Instances"): {}}
    bench.sync()
    assert bench.names() == {"machines/i-0b"}, "a machine that an agent has joined is not inventory's to remove"


def test_a_repeated_step_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.account.cells = {(region, "ec2Volumes"): {f"vol-{region}-{n}": {} for n in range(4)} for region in ("a-b-1", "c-d-1", "e-f-1")}
    bench.account.dies_after = 8
    with pytest.raises(ConnectionResetError):
        bench.sync("one")
    bench.account.dies_after = None
    bench.account.listed.clear()
    bench.sync("one")
    assert ("a-b-1", "ec2Volumes") not in bench.account.listed
    assert len(bench.names()) == 12


def test_a_solution_deleted_while_it_is_scanned_ends_quietly(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(3)}
    bench.engine.apply(Change(deletes=(SOLUTION,)), USER, "d", "x")
    assert bench.sync() is None
    assert bench.lookup.find(SOLUTION) is None


def test_one_scan_leaves_few_audit_records_and_a_valid_chain(bench: Bench) -> None:
    bench.account.cells = {("us-east-1", "ec2Volumes"): volumes(500)}
    with bench.engine.store.read() as connection:
        before = connection.execute(select(func.count()).select_from(audit_records)).scalar() or 0
    bench.sync()
    with bench.engine.store.read() as connection:
        assert (connection.execute(select(func.count()).select_from(audit_records)).scalar() or 0) - before < 10
        assert verify(connection) is None


cells = st.dictionaries(
    st.tuples(st.sampled_from(["us-east-1", "eu-west-1", ""]), st.sampled_from(["ec2Volumes", "sqsQueues"])),
    st.dictionaries(st.sampled_from([f"vol-0000000{n}" for n in range(6)]), st.fixed_dictionaries({"size": st.integers(0, 2)})),
    max_size=6,
)
broken = st.sets(st.tuples(st.sampled_from(["us-east-1", "eu-west-1"]), st.just("ec2Volumes")))
steps = st.lists(st.tuples(cells, broken, st.integers(0, 12)), min_size=1, max_size=4)


@given(steps)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_fails_in_between_nothing_is_deleted_falsely(bench: Bench, steps: list[tuple[Any, Any, int]]) -> None:
    """The truth is the last complete listing of each cell; crashes and gaps in between never take a row away."""
    bench.account.cells = {}
    bench.account.broken = {}
    bench.sync(confirm=True)
    bench.account.cells = {(region, kind): {} for region in ("us-east-1", "eu-west-1", "") for kind in ("ec2Volumes", "sqsQueues")}
    bench.sync(confirm=True)
    truth: dict[tuple[str, str], set[str]] = {}
    for given_cells, failing, crash in steps:
        bench.account.cells = {
            place: {f"{id}{place[0]}{place[1][0]}": p for id, p in found.items()} for place, found in given_cells.items()
        }
        bench.account.broken = dict.fromkeys(failing, "error")
        bench.number += 1
        scan = f"h:{bench.number}"
        bench.account.dies_after = crash
        try:
            bench.sync(scan, confirm=True)
        except ConnectionResetError:
            bench.account.dies_after = None
            bench.sync(scan, confirm=True)
        bench.account.dies_after = None
        truth |= {place: set(found) for place, found in bench.account.cells.items() if place not in bench.account.broken}
        expected = sum(len(found) for found in truth.values())
        assert len(bench.names()) == expected
    assert bench.solution()["status"] in (subject.COMPLETED, subject.WITH_GAPS)


def test_a_short_id_in_two_regions_is_two_resources(bench: Bench) -> None:
    bench.account.cells = {(region, "ec2Volumes"): {"vol-0000000a": {"size": 1}} for region in ("us-east-1", "eu-west-1")}
    bench.sync("s1")
    assert bench.names() == {"ec2Volumes/vol-0000000a_us-east-1", "ec2Volumes/vol-0000000a_eu-west-1"}
