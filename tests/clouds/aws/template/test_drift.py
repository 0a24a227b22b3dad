"""Drift: what differs is told statement by statement, what only looks different is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template import differences, expected_role
from isthmus.clouds.contract import DeployedRole
from tests.clouds.aws.template.requests import ACCOUNT, COMBINATIONS

BOTH = COMBINATIONS["inventory-least-onboarding-two-regions-tagged"]
ROLE = expected_role(BOTH, names.ONBOARDING)
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.isthmus.test"


def changed(change: Callable[[dict[str, Any]], object]) -> DeployedRole:
    """The onboarding role with its one policy changed in place."""
    policies = copy.deepcopy(dict(ROLE.policies))
    change(policies["Isthmus"])
    return replace(ROLE, policies=policies)


def statement(policy: dict[str, Any], sid: str) -> dict[str, Any]:
    return next(one for one in policy["Statement"] if one["Sid"] == sid)


def told(found: DeployedRole) -> list[tuple[str, str]]:
    return [(one.what, one.kind) for one in differences(ROLE, found)]


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if "onboarding" in name and "inventory" in name])
def test_every_template_agrees_with_itself(name: str) -> None:
    for solution in (names.INVENTORY, names.ONBOARDING):
        role = expected_role(COMBINATIONS[name], solution)
        assert differences(role, role) == ()
        assert "Fn::If" not in str(role.trust)


def test_the_trust_names_the_provider_whoever_made_it() -> None:
    (trusted,) = ROLE.trust["Statement"]
    assert trusted["Principal"] == {"Federated": PROVIDER}


def test_spelling_is_no_difference() -> None:
    def respell(policy: dict[str, Any]) -> None:
        policy["Statement"].reverse()
        sending = statement(policy, "RunOnboardingDocument")
        sending["Action"] = "SSM:sendcommand"
        sending["Resource"].reverse()
        sending["Condition"] = {"StringEquals": {"AWS:requestedregion": ["us-east-1", "eu-west-1"]}}

    found = changed(respell)
    trust = copy.deepcopy(dict(ROLE.trust))
    trust["Statement"] = trust["Statement"][0]
    trust["Statement"]["Action"] = [trust["Statement"]["Action"]]
    assert differences(ROLE, replace(found, trust=trust)) == ()


def test_an_account_is_its_root() -> None:
    def trusting(principal: str) -> DeployedRole:
        return replace(ROLE, trust={"Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]})

    assert differences(trusting(ACCOUNT), trusting(f"arn:aws:iam::{ACCOUNT}:root")) == ()


def test_what_changed_within_a_statement_is_said() -> None:
    def narrow(policy: dict[str, Any]) -> None:
        statement(policy, "FollowCommands")["Action"].remove("ssm:CancelCommand")
        statement(policy, "RunOnboardingDocument")["Resource"].append("*")
        del statement(policy, "RunOnboardingDocument")["Condition"]

    found = {one.what: (one.kind, one.detail) for one in differences(ROLE, changed(narrow))}
    assert found == {
        "policy Isthmus, statement FollowCommands": ("changed", "actions missing: ssm:cancelcommand"),
        "policy Isthmus, statement RunOnboardingDocument": (
            "changed",
            "resources added: *; conditions missing: StringEquals aws:requestedregion = eu-west-1, us-east-1",
        ),
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (changed(lambda policy: policy["Statement"].pop(0)), [("policy Isthmus, statement RunOnboardingDocument", "missing")]),
        (
            changed(lambda policy: policy["Statement"].append({"Sid": "More", "Effect": "Allow", "Action": "*", "Resource": "*"})),
            [("policy Isthmus, statement More", "extra")],
        ),
        (
            changed(lambda policy: statement(policy, "FindInstances").update(Effect="Deny")),
            [("policy Isthmus, statement FindInstances", "changed")],
        ),
        (changed(lambda policy: policy.update(Version="2008-10-17")), [("policy Isthmus, version", "changed")]),
        (replace(ROLE, policies={}), [("policy Isthmus", "missing")]),
        (replace(ROLE, policies={**ROLE.policies, "Own": {}}), [("policy Own", "extra")]),
        (replace(ROLE, managed=("arn:aws:iam::aws:policy/X",)), [("managed policy arn:aws:iam::aws:policy/X", "extra")]),
        (replace(ROLE, boundary="arn:aws:iam::1:policy/B"), [("permissions boundary", "extra")]),
        (replace(ROLE, trust={**ROLE.trust, "Statement": []}), [("trust, statement 1", "missing")]),
    ],
)
def test_kinds_of_differences(found: DeployedRole, expected: list[tuple[str, str]]) -> None:
    assert told(found) == expected


def test_what_is_no_policy_is_no_crash() -> None:
    odd = {"Version": 7, "Statement": ["text", {"Sid": "A", "Principal": "*", "Condition": "none", "Action": None}]}
    found = told(replace(ROLE, trust=odd, policies={"Isthmus": {"Statement": {"Effect": "Deny", "NotAction": "a:b"}}}))
    assert ("trust, statement A", "extra") in found
    assert ("policy Isthmus, statement 1", "extra") in found
