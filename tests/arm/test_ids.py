"""Identifiers: what ARM sends is understood, rendered and compared; what it would never send is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.arm.errors import ArmError
from isthmus.arm.ids import ResourceId, group_id, parse, parse_resource

GROUP = "/subscriptions/0f/resourceGroups/rg"
MACHINE = f"{GROUP}/providers/Microsoft.HybridCompute/machines/i-1"

names = st.text(st.characters(whitelist_categories=("L", "N"), whitelist_characters="-_.()"), min_size=1, max_size=40).filter(
    lambda s: s == s.strip()
)
words = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,15}\Z").filter(lambda word: word.lower() != "providers")


@st.composite
def ids(draw: st.DrawFn) -> ResourceId:
    scope: ResourceId | None = draw(st.sampled_from([None, group_id("0f", "rg"), group_id("0f", "rg").scope]))
    for _ in range(draw(st.integers(1, 2))):
        count = draw(st.integers(1, 3))
        kinds = tuple(draw(words) for _ in range(count))
        scope = ResourceId(
            scope, f"Contoso.{draw(words)}", kinds, tuple(draw(names.filter(lambda s: s.lower() != "providers")) for _ in range(count))
        )
    assert scope is not None
    return scope


@given(ids())
def test_rendering_and_parsing_agree(id: ResourceId) -> None:
    assert parse(str(id)) == id
    assert parse(str(id).upper()).key == id.key or str(id).upper().lower() != id.key


@pytest.mark.parametrize(
    ("path", "kind", "name", "group", "is_collection"),
    [
        ("/subscriptions", "Microsoft.Resources/subscriptions", "", "", True),
        ("/subscriptions/0f", "Microsoft.Resources/subscriptions", "0f", "", False),
        ("/subscriptions/0f//resourcegroups/rg/", "Microsoft.Resources/resourceGroups", "rg", "rg", False),
        (f"{GROUP}/providers/NS.X//a/b", "NS.X/a", "b", "rg", False),
        (f"{GROUP}/providers/NS.X/a/b/c", "NS.X/a/c", "", "rg", True),
        (f"{MACHINE}/providers/Microsoft.AwsConnector/ec2Instances/default", "Microsoft.AwsConnector/ec2Instances", "default", "rg", False),
        ("/providers/NS.X/operations", "NS.X/operations", "", "", True),
        ("/subscriptions/0f/providers", "Microsoft.Resources/providers", "", "", True),
        ("/subscriptions/0f/providers/NS.X", "Microsoft.Resources/providers", "NS.X", "", False),
        ("/subscriptions/0f/providers/NS.X/register", "NS.X/register", "", "", True),
        (f"{GROUP}/resources", "Microsoft.Resources/resources", "", "rg", True),
        (f"{MACHINE}/providers/Microsoft.Resources/tags/default", "Microsoft.Resources/tags", "default", "rg", False),
    ],
)
def test_paths_of_real_clients(path: str, kind: str, name: str, group: str, is_collection: bool) -> None:
    found = parse(path)
    assert (found.type, found.name, found.group, found.is_collection) == (kind, name, group, is_collection)


def test_parent_is_the_resource_above_or_extended_or_the_scope() -> None:
    extension = parse(f"{MACHINE}/providers/Microsoft.AwsConnector/ec2Instances/default")
    assert str(extension.parent) == MACHINE
    assert str(parse(f"{MACHINE}/extensions/x").parent) == MACHINE
    assert str(parse(MACHINE).parent) == GROUP
    assert parse("/subscriptions/0f").parent is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/nonsense",
        "/subscriptions/0f/nonsense/x",
        f"{GROUP}/providers/not a namespace/x/y",
        f"{GROUP}/providers/NS.X/a%2Fb/c",
        f"{GROUP}/providers/NS.X/a/b%3Cscript%3E",
        f"{GROUP}/providers/NS.X/a/b%00c",
        f"{GROUP}/providers/NS.X/a/..%2F..",
        f"{GROUP}/providers/NS.X/a/{'n' * 261}",
        f"{GROUP}/providers/NS.X/a/" + "b/c/" * 600,
        f"{GROUP}/providers/NS.X/a/providers/NS.Y/b/c",
        "/providers/Microsoft.Resources/subscriptions/0f",
    ],
)
def test_malformed_ids_are_refused_by_name(path: str) -> None:
    with pytest.raises(ArmError) as caught:
        parse(path)
    assert (caught.value.code, caught.value.status) == ("InvalidResourceId", 400)
    assert len(caught.value.message) < 600


@given(st.text(max_size=300))
def test_nothing_but_a_typed_refusal_comes_of_noise(text: str) -> None:
    with contextlib.suppress(ArmError):
        assert parse(text).types


def test_a_collection_is_no_resource() -> None:
    with pytest.raises(ArmError, match="collection"):
        parse_resource("/subscriptions")


words_of_paths = st.sampled_from(
    ["subscriptions", "resourceGroups", "providers", "resources", "tenants", "locations", "NS.X", "a", "b", "0f", "rg"]
)


@given(st.lists(words_of_paths, min_size=1, max_size=14))
def test_scopes_are_a_subscription_then_a_group_then_providers(parts: list[str]) -> None:
    """Rights are decided by prefix, rows are found by subscription and group: both must mean the same scope."""
    with contextlib.suppress(ArmError):
        found = parse("/" + "/".join(parts))
        outer = list(found.chain)[::-1]
        kinds = [link.types[0].lower() if link.namespace == "Microsoft.Resources" else "provider" for link in outer]
        plumbing = list(filter(("subscriptions", "resourcegroups").__contains__, kinds))
        assert plumbing in ([], ["subscriptions"], ["subscriptions", "resourcegroups"])
        assert kinds[: len(plumbing)] == plumbing
        if found.group and not found.is_collection:
            assert str(found).lower().startswith(group_id(found.subscription, found.group).key)
