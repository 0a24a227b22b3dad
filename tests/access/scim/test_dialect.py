"""Entra's words become those of the RFC, and what is in those already stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.access.scim.dialect import expression, patch, resource
from isthmus.access.scim.members import PATCH, is_about_members, member_changes

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def one(**operation: Any) -> dict[str, Any]:
    """What becomes of one operation."""
    operations = patch({"schemas": ["x"], "Operations": [operation]})["Operations"]
    return dict(operations[0])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"active": "False"}, {"active": False}),
        ({"ACTIVE": "tRUE"}, {"ACTIVE": True}),
        ({"active": False, "title": "False"}, {"active": False, "title": "False"}),
        ({"active": "maybe"}, {"active": "maybe"}),
        ({"roles": [{"primary": "True", "value": "True"}]}, {"roles": [{"primary": True, "value": "True"}]}),
        ({ENTERPRISE: {"manager": "m"}}, {ENTERPRISE: {"manager": {"value": "m"}}}),
        ({ENTERPRISE: {"manager": {"value": "m"}}}, {ENTERPRISE: {"manager": {"value": "m"}}}),
        ({"schemas": ["a", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]}, {"schemas": ["a"]}),
        ({"schemas": "a"}, {"schemas": "a"}),
    ],
)
def test_resources(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert resource(given) == meant


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"path": "active", "value": "False"}, False),
        ({"path": f"{ENTERPRISE}:manager", "value": "m"}, {"value": "m"}),
        ({"path": f"{ENTERPRISE}:manager", "value": ""}, None),
        ({"path": "title", "value": "True"}, "True"),
        ({"path": 'emails[type eq "work"].primary', "value": "True"}, True),
        ({"value": {f"{ENTERPRISE}:manager": "m", "active": "False"}}, {f"{ENTERPRISE}:manager": {"value": "m"}, "active": False}),
    ],
)
def test_values_of_operations(given: dict[str, Any], value: Any) -> None:
    assert one(op="Replace", **given)["value"] == value


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"path": "members", "value": [{"$ref": None, "value": "1"}, {"Value": "2", "display": "x"}]}, [{"value": "1"}, {"value": "2"}]),
        ({"path": "Members", "value": {"value": "1"}}, [{"value": "1"}]),
        ({"path": "members", "value": None}, []),
        ({"path": "members", "value": []}, []),
        ({"path": "title", "value": "was"}, None),
        ({"path": "title", "value": None}, None),
        ({"path": "roles", "value": [{"value": "x"}]}, [{"value": "x"}]),
        ({"path": 'emails[type eq "work"]', "value": [{"value": "x"}]}, None),
    ],
)
def test_what_removals_select(given: dict[str, Any], value: Any) -> None:
    assert one(op="Remove", **given)["value"] == value


def test_an_absent_value_stays_absent() -> None:
    assert "value" not in one(op="remove", path="members")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ('roles[primary eq "True"].value', "roles[primary eq true].value"),
        ('active eq "FALSE"', "active eq false"),
        ('displayName eq "True"', 'displayName eq "True"'),
        ('title eq "primary eq \\"True\\""', 'title eq "primary eq \\"True\\""'),
    ],
)
def test_expressions(given: str, meant: str) -> None:
    assert expression(given) == meant


@pytest.mark.parametrize(
    ("operations", "wanted"),
    [
        ([{"op": "Add", "path": "members", "value": [{"value": "1", "$ref": None}]}], {"1": True}),
        ([{"op": "add", "value": {"members": [{"value": "1"}]}}], {"1": True}),
        ([{"op": "remove", "path": 'members[value eq "1"]'}], {"1": False}),
        ([{"op": "remove", "path": "members", "value": []}], {}),
        ([{"op": "remove", "path": "members"}], None),
        ([{"op": "replace", "path": "members", "value": [{"value": "1"}]}], None),
        ([{"op": "add", "path": "members", "value": [{"value": "1"}]}, {"op": "add", "path": "displayName", "value": "x"}], None),
        ([{"op": "remove", "path": 'members[type eq "User"]'}], None),
        ([], None),
        ("all", None),
        ([{"op": "add", "value": {"members": [], "displayName": "x"}}], None),
    ],
)
def test_changes_of_members(operations: Any, wanted: dict[str, bool] | None) -> None:
    assert member_changes({"schemas": [PATCH], "OPERATIONS": operations}) == wanted


def test_the_last_word_counts() -> None:
    both = [{"op": verb, "path": "members", "value": [{"value": "1"}]} for verb in ("add", "remove")]
    assert member_changes({"schemas": [PATCH], "Operations": both}) == {"1": False}
    assert member_changes({"schemas": [PATCH], "Operations": both[::-1]}) == {"1": True}
    assert member_changes({"Operations": both}) is None, "the library says what is missing"


@pytest.mark.parametrize(
    ("operation", "is_about"),
    [
        ({"op": "replace", "path": "displayName", "value": "x"}, False),
        ({"op": "replace", "value": {"displayName": "x"}}, False),
        ({"op": "replace", "value": {"displayName": "x", "Members": []}}, True),
        ({"op": "remove", "path": "Members"}, True),
        ({"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": []}, True),
        ({"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:Group:members": []}}, True),
        ({"op": "replace", "value": [1]}, True),
        ("x", True),
    ],
)
def test_what_is_about_members(operation: Any, is_about: bool) -> None:
    assert is_about_members({"Operations": [operation]}) is is_about
