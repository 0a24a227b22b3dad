"""What is kept of a sign-in."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.identity import evidence
from isthmus.identity.people import Person
from isthmus.store import Store
from tests.support.clock import Clock

PERSON = Person(object_id="b0000000-0000-0000-0000-00000000000a", name="Alice", issuer="https://idp.example/t/v2.0", subject="alice")
CLAIMS = {"iss": PERSON.issuer, "sub": "alice", "uti": "u-1", "sid": "s-1", "amr": ["pwd", "mfa"], "acrs": "c1", "dept": "ops", "exp": 5}


def of(**more: Any) -> evidence.SignedIn:
    return evidence.evidence_of(PERSON, {**CLAIMS, **more}, id="one", now=1000, seconds=60)


def test_what_a_token_tells_is_kept_under_our_names() -> None:
    found = of(groups=["g-dev"])
    assert (found.token_id, found.session_id, found.methods, found.contexts) == ("u-1", "s-1", ("pwd", "mfa"), ("c1",))
    assert (found.groups, found.claims["dept"], found.at, found.ends_at) == (("g-dev",), ("ops",), 1000, 61_000)
    assert "exp" not in found.claims


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({}, None),
        ({"groups": []}, ()),
        ({"groups": ["g-dev"]}, ("g-dev",)),
        ({"groups": "g-dev"}, ("g-dev",)),
        ({"groups": ["g-dev"], "_claim_names": {"groups": "src1"}}, None),
        ({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}, None),
        ({"hasgroups": True}, None),
        ({"groups": ["g-dev", 7]}, None),
        ({"groups": {"g-dev": True}}, None),
        ({"groups": None}, None),
        ({"groups": ""}, None),
        ({"groups": False}, None),
        ({"groups": {}}, None),
        ({"groups": [f"g-{number}" for number in range(1001)]}, None),
    ],
)
def test_groups_that_are_not_all_told_are_not_none(claims: dict[str, Any], groups: tuple[str, ...] | None) -> None:
    assert of(**claims).groups == groups


@pytest.mark.parametrize("value", [None, 7, True, "", "x" * 300, ["mfa", 7], {"mfa": 1}])
def test_methods_of_another_shape_prove_nothing(value: object) -> None:
    assert of(amr=value).methods == ()


def test_a_sign_in_is_found_until_it_is_ended(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        made = evidence.new_sign_in(connection, PERSON, CLAIMS, clock=clock, identifier=lambda: "one", seconds=60)
        evidence.new_sign_in(connection, PERSON, CLAIMS, clock=clock, identifier=lambda: "two", seconds=-1)
    with store.begin() as connection:
        assert evidence.find(connection, "one") == made
        assert evidence.find(connection, "") is None
        assert evidence.end_all(connection, PERSON.object_id.upper(), made.at) == 1
        assert evidence.find(connection, "one") is None
