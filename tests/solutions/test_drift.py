"""compareTemplate: what the job says of roles that are as expected, changed, missing or unreadable."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.aws.template import expected_role
from isthmus.clouds.contract import DeployedRole, Unreadable
from isthmus.solutions import inventory
from isthmus.solutions.drift import Drift
from isthmus.solutions.templates import template_request
from isthmus.store.tables import operations
from tests.solutions.conftest import ACCOUNT, CONNECTOR, GUID, Bench

ISSUER = "https://issuer.isthmus.test"


def as_expected() -> DeployedRole:
    chosen = {inventory.TYPE: inventory.SOLUTION.complete({})}
    return expected_role(template_request(ACCOUNT, GUID, chosen, ISSUER), inventory.TYPE)


def compare(bench: Bench) -> dict[str, Any]:
    bench.engine.apply(Change(operation=OperationOrder(id="op", resource=CONNECTOR, kind="compare")), Actor(id="a", kind="User"), "w", "x")
    drift = Drift(engine=bench.engine, lookup=bench.lookup, scanner=bench.account, loop=bench.stock.loop, issuer_url=ISSUER)
    drift.job().run({"connector": str(CONNECTOR), "operation": "op"})
    with bench.engine.store.read() as connection:
        row = connection.execute(select(operations)).one()
    assert row.status == "Succeeded"
    (found,) = json.loads(row.result)["solutionTypes"]
    assert (found["solutionType"], found["role"]) == (inventory.TYPE, "IsthmusInventory-0a1b2c3d")
    return dict(found)


def test_a_role_as_the_template_makes_it_is_in_step(bench: Bench) -> None:
    bench.account.roles[inventory.TYPE] = as_expected()
    found = compare(bench)
    assert (found["status"], found["differences"]) == ("InStep", [])


def test_a_changed_role_has_drifted(bench: Bench) -> None:
    bench.account.roles[inventory.TYPE] = replace(as_expected(), managed=("arn:aws:iam::aws:policy/AdministratorAccess",))
    found = compare(bench)
    assert found["status"] == "Drifted"
    assert [(one["what"], one["kind"]) for one in found["differences"]] == [
        ("managed policy arn:aws:iam::aws:policy/ReadOnlyAccess", "missing"),
        ("managed policy arn:aws:iam::aws:policy/AdministratorAccess", "extra"),
    ]
    assert "2 differences" in found["details"]


def test_a_role_that_cannot_be_assumed_is_not_deployed(bench: Bench) -> None:
    bench.account.refusal = "Deploy first."
    found = compare(bench)
    assert (found["status"], found["details"]) == ("NotDeployed", "Deploy first.")


def test_a_role_that_may_not_look_at_itself_names_the_action(bench: Bench) -> None:
    bench.account.roles[inventory.TYPE] = Unreadable("iam:GetRole", "AccessDenied")
    found = compare(bench)
    assert found["status"] == "Unreadable"
    assert "it lacks iam:GetRole" in found["details"]


def test_an_unreachable_account_is_tried_again(bench: Bench) -> None:
    bench.account.unreachable = "No network."
    with pytest.raises(ArmError, match="No network"):
        compare(bench)
