"""compareTemplate: what the job says of roles that are as expected, changed, missing or unreadable."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access.former import FORMER, LONGEST_DIRECT, remembered
from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.aws.template import expected_role
from isthmus.clouds.contract import DeployedRole, Unreadable
from isthmus.solutions import access, inventory
from isthmus.solutions.drift import Drift
from isthmus.solutions.subject import CONFIGURATIONS
from isthmus.solutions.templates import template_request
from isthmus.store.tables import operations
from tests.solutions.conftest import ACCOUNT, CONNECTOR, GUID, Bench

ISSUER = "https://issuer.isthmus.test"


@dataclass
class Roles:
    """Whom the roles of an account trust; `problem` is raised instead."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    problem: Exception | None = None

    async def trusts(self, _target: Any) -> dict[str, dict[str, Any]]:
        """See `TrustCloud`."""
        if self.problem is not None:
            raise self.problem
        return self.documents

    async def lint(self, _target: Any) -> Any:
        """Nobody asks here."""
        raise NotImplementedError


def as_expected() -> DeployedRole:
    chosen = {inventory.TYPE: inventory.SOLUTION.complete({})}
    return expected_role(template_request(ACCOUNT, GUID, chosen, ISSUER), inventory.TYPE)


def compare(bench: Bench, trust: Roles | None = None, kind: str = inventory.TYPE) -> dict[str, Any]:
    drift = Drift(
        engine=bench.engine, lookup=bench.lookup, scanner=bench.account, trust=trust or Roles(), loop=bench.stock.loop, issuer_url=ISSUER
    )
    operation = bench.engine.new_guid()
    opened = OperationOrder(id=operation, resource=CONNECTOR, kind="compare")
    bench.engine.apply(Change(operation=opened), Actor(id="a", kind="User"), "w", "x")
    drift.job().run({"connector": str(CONNECTOR), "operation": operation})
    with bench.engine.store.read() as connection:
        row = connection.execute(select(operations).where(operations.c.id == operation)).one()
    assert row.status == "Succeeded"
    [found] = [one for one in json.loads(row.result)["solutionTypes"] if one["solutionType"] == kind]
    assert kind != inventory.TYPE or found["role"] == "IsthmusInventory-0a1b2c3d"
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


def test_a_former_federation_counts_until_no_role_of_people_trusts_it(bench: Bench) -> None:
    settings = access.SOLUTION.complete({"federation": "oidc", "federationIssuer": "https://idp.test"})
    id = CONNECTOR.extension(CONFIGURATIONS, "access")
    stored = {"solutionType": access.TYPE, "solutionSettings": access.SOLUTION.complete({})}
    left = {FORMER: remembered({**stored, "solutionSettings": settings}, stored["solutionSettings"], bench.engine.now())}
    bench.engine.apply(Change(puts=(Resource(id=id, properties={**stored, **left}),)), Actor(id="a", kind="User"), "w", "x")
    bench.account.roles |= {inventory.TYPE: as_expected(), access.TYPE: Unreadable("iam:GetRole", "AccessDenied")}
    provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/idp.test"}
    lets_in = {"Statement": [{"Effect": "Allow", "Principal": provider, "Action": "sts:AssumeRoleWithWebIdentity"}]}
    trust = Roles({"IsthmusPerson-Gone-0a1b2c3d": lets_in})

    def kept() -> list[dict[str, Any]]:
        found = bench.lookup.find(id)
        assert found is not None
        return list(found.properties.get(FORMER, []))

    assert "Update the stack" in compare(bench, trust, access.TYPE)["details"], "also a role of a mapping that is no more"
    assert kept() == left[FORMER]
    for problem in (PermissionError("iam:ListRoles is missing"), None):
        trust.problem = problem
        if problem:
            assert "could not be read: iam:ListRoles is missing" in compare(bench, trust, access.TYPE)["details"]
            assert kept() == left[FORMER], "who cannot look forgets nothing"
    trust.documents = {"IsthmusPerson-Reader-ffffffff": lets_in, "Somebodys": lets_in, "IsthmusPerson-Reader-0a1b2c3d": {}}
    assert "for an hour more" in compare(bench, trust, access.TYPE)["details"], "roles of others are not ours"
    assert [one["until"] for one in kept()] == [bench.engine.now() + LONGEST_DIRECT]
    trust.problem = ConnectionError("away")
    with pytest.raises(ArmError, match="away"):
        compare(bench, trust, access.TYPE)
