"""Roles: deny by default; a grant needs an assignment of that principal whose scope is a prefix, segment by segment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.identity.roles import CONTRIBUTOR, OWNER, PROVISIONER, READER, ROLES, RoleAssignment, allows, covers, definition, role_named

GROUP = "/subscriptions/s1/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.HybridCompute/machines/m1"
READ = "Microsoft.HybridCompute/machines/read"
WRITE = "Microsoft.HybridCompute/machines/write"
PROVISION = "Isthmus.Directory/groups/write"
ASSIGN = "Microsoft.Authorization/roleAssignments/write"


def given_to(role: str, scope: str, principal: str = "p") -> list[RoleAssignment]:
    return [RoleAssignment(principal_id=principal, role=role, scope=scope)]


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        (OWNER, READ, True),
        (OWNER, WRITE, True),
        (OWNER, ASSIGN, True),
        (CONTRIBUTOR, READ, True),
        (CONTRIBUTOR, WRITE, True),
        (CONTRIBUTOR, "Microsoft.HybridConnectivity/publicCloudConnectors/testPermissions/action", True),
        (CONTRIBUTOR, ASSIGN, False),
        (CONTRIBUTOR, "microsoft.authorization/ROLEASSIGNMENTS/WRITE", False),
        (CONTRIBUTOR, "Microsoft.Authorization/x\n/write", False),
        (CONTRIBUTOR, "Microsoft.Authorization/roleAssignments/delete", False),
        (CONTRIBUTOR, "Microsoft.Authorization/elevateAccess/action", False),
        (CONTRIBUTOR, "Microsoft.Authorization/roleAssignments/read", True),
        (READER, READ, True),
        (READER, WRITE, False),
        (READER, "Microsoft.HybridConnectivity/generateAwsTemplate/action", False),
        (READER, "read", False),
        (OWNER, PROVISION, True),
        (CONTRIBUTOR, PROVISION, False),
        (CONTRIBUTOR, "Isthmus.Directory/groups/delete", False),
        (CONTRIBUTOR, "Isthmus.Directory/users/read", True),
        (READER, PROVISION, False),
        (PROVISIONER, PROVISION, True),
        (PROVISIONER, "Isthmus.Directory/users/delete", True),
        (PROVISIONER, "Isthmus.DirectoryX/users/write", False),
        (PROVISIONER, "Isthmus.Identity/clients/write", False),
        (PROVISIONER, ASSIGN, False),
        (PROVISIONER, READ, False),
    ],
)
def test_what_a_role_permits(role: object, action: str, allowed: bool) -> None:
    assert allows(given_to(role.id, "/"), "p", action, MACHINE) is allowed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("scope", "at", "allowed"),
    [
        ("/", MACHINE, True),
        ("/", "/", True),
        ("/subscriptions/s1", MACHINE, True),
        (GROUP, MACHINE, True),
        (GROUP, GROUP, True),
        ("//subscriptions/S1//resourcegroups/RG/", MACHINE, True),
        (MACHINE, MACHINE + "/extensions/e", True),
        (MACHINE, MACHINE + "2", False),
        ("/subscriptions/s1/resourceGroups/r", MACHINE, False),
        ("/subscriptions/s", MACHINE, False),
        (MACHINE, GROUP, False),
        (GROUP, "/", False),
        ("", MACHINE, False),
        ("subscriptions/s1", MACHINE, False),
        ("/", "", False),
        (GROUP, f"{GROUP}/../other", False),
    ],
)
def test_a_scope_covers_itself_and_what_lies_below(scope: str, at: str, allowed: bool) -> None:
    assert covers(scope, at) is allowed
    assert allows(given_to(OWNER.id, scope), "p", READ, at) is allowed


def test_the_principal_and_the_role_must_be_known() -> None:
    path = f"/subscriptions/s1/providers/Microsoft.Authorization/roleDefinitions/{OWNER.id.upper()}"
    assert allows(given_to(path, "/"), "P", READ, "/")
    assert not allows(given_to(OWNER.id, "/"), "q", READ, "/")
    assert not allows(given_to("11111111-1111-1111-1111-111111111111", "/"), "p", READ, "/")
    assert not allows(given_to("", "/"), "p", READ, "/")
    assert not allows(given_to(OWNER.id, "/", principal=""), "", READ, "/")
    assert not allows(given_to(OWNER.id, "/"), "p", "", "/")
    assert not allows([], "p", READ, "/")


segments = st.sampled_from(["subscriptions", "s1", "s2", "resourceGroups", "RG", "rg", "rg2", "providers", "a", "b"])
scopes = st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts))
assignments = st.builds(
    RoleAssignment, principal_id=st.sampled_from(["p", "q"]), role=st.sampled_from([*ROLES, "unknown"]), scope=scopes | st.just("")
)


@given(st.lists(assignments, max_size=6), st.sampled_from(["p", "q", "r"]), st.sampled_from([READ, WRITE, ASSIGN]), scopes)
def test_nothing_is_granted_without_an_assignment_above(rows: list[RoleAssignment], principal: str, action: str, scope: str) -> None:
    def lies_above(row: RoleAssignment) -> bool:
        above = row.scope.lower().rstrip("/") + "/"
        return row.scope.startswith("/") and (scope.lower().rstrip("/") + "/").startswith(above)

    relevant = [row for row in rows if row.principal_id == principal and row.role in ROLES and lies_above(row)]
    granted = allows(rows, principal, action, scope)
    assert not granted or relevant
    assert granted == allows(relevant, principal, action, scope)
    if action == READ:
        assert granted == any(row.role != PROVISIONER.id for row in relevant), "every one of Azure's three roles may read"
    if action == ASSIGN:
        assert granted == any(row.role == OWNER.id for row in relevant)


def test_roles_are_found_by_name_guid_and_path() -> None:
    assert role_named("owner") is OWNER
    assert role_named(READER.id.upper()) is READER
    assert role_named(f"/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR.id}") is CONTRIBUTOR
    assert role_named("Butler") is None


def test_definitions_have_the_shape_of_azure() -> None:
    shown = definition(CONTRIBUTOR)
    assert shown["id"] == f"/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR.id}"
    assert shown["properties"]["permissions"][0]["actions"] == ["*"]  # type: ignore[index]
