"""One decision, every reason to refuse, in the order in which they are looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.access.deciding import Approved, Known, decide
from isthmus.access.groups import GroupsUnknown, Membership, TokenGroups
from isthmus.access.mappings import REQUEST, RoleMapping
from isthmus.clouds.contract import ScanTarget
from isthmus.identity.evidence import SignedIn

NOW = 1_000_000
TARGET = ScanTarget(account="123456789012", guid="aa5f1c9e-0000-4000-8000-000000000000", solution="Isthmus.Access")
MAPPING = RoleMapping(
    id="/s/providers/Isthmus.Access/roleMappings/Reader",
    name="Reader",
    target=TARGET,
    groups=frozenset({"g-dev", "g-ops"}),
    claims={"dept": frozenset({"ops"})},
    contexts=frozenset({"c1"}),
)
ALICE = SignedIn(
    id="s-1",
    object_id="alice",
    issuer="https://idp.test",
    subject="alice",
    name="Alice",
    methods=("pwd", "mfa"),
    contexts=("c1", "c2"),
    groups=("g-dev",),
    at=0,
    ends_at=NOW + 3_600_000,
)
KNOWN = Known(mapping=MAPPING, person=ALICE, membership=Membership(groups=frozenset({"g-dev"})), now=NOW)
ON_REQUEST = replace(KNOWN, mapping=replace(MAPPING, activation=REQUEST))


def test_a_member_is_allowed_because_of_the_group_for_a_lease() -> None:
    found = decide(KNOWN)
    assert found.refusal is None
    assert (found.because, found.grant, found.until) == ("group:g-dev", "", NOW + 300_000)


def test_a_claim_is_as_good_as_a_group_and_needs_nobody_to_ask() -> None:
    found = decide(replace(KNOWN, person=replace(ALICE, claims={"dept": ("ops",)}), membership=None, unknown="away"))
    assert (found.refusal, found.because) == (None, "claim:dept=ops")


def test_the_lease_never_outlives_the_sign_in() -> None:
    assert decide(replace(KNOWN, person=replace(ALICE, ends_at=NOW + 10))).until == NOW + 10


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (replace(KNOWN, person=None), "SignInNeeded"),
        (replace(KNOWN, person=replace(ALICE, ends_at=NOW)), "SignInNeeded"),
        (replace(KNOWN, person=replace(ALICE, methods=("pwd",))), "SecondFactorNeeded"),
        (replace(KNOWN, person=replace(ALICE, methods=())), "SecondFactorNeeded"),
        (replace(KNOWN, person=replace(ALICE, contexts=("c2",))), "ContextNeeded"),
        (replace(KNOWN, membership=None, unknown="The directory is away."), "GroupsUnknown"),
        (replace(KNOWN, membership=Membership(groups=frozenset())), "NotAMember"),
        (replace(KNOWN, membership=Membership(groups=frozenset({"g-dev"}), is_active=False)), "PersonDisabled"),
        (replace(KNOWN, is_revoked=True), "AccessRevoked"),
        (replace(KNOWN, mapping=replace(MAPPING, groups=frozenset())), "NotAMember"),
        (ON_REQUEST, "RequestNeeded"),
        (replace(ON_REQUEST, is_revoked=True, person=None), "AccessRevoked"),
        (
            replace(ON_REQUEST, approved=(Approved(grant="G-1", ends_at=NOW + 5),), membership=Membership(groups=frozenset())),
            "NotAMember",
        ),
    ],
)
def test_refusals(known: Known, code: str) -> None:
    found = decide(known)
    assert found.refusal is not None
    assert found.refusal.code == code
    assert found.refusal.told
    assert (found.because, found.until) == ("", 0)


def test_what_is_to_be_done_is_a_whole_command() -> None:
    refusal = decide(ON_REQUEST).refusal
    assert refusal is not None
    assert refusal.told.endswith(f'isthmus access request {ON_REQUEST.mapping.label} --reason "WHY"')


def test_of_approved_grants_the_one_that_lasts_longest_counts_and_bounds_the_lease() -> None:
    grants = (Approved(grant="G-1", ends_at=NOW + 5_000), Approved(grant="G-2", ends_at=NOW + 9_000))
    found = decide(replace(ON_REQUEST, approved=grants))
    assert (found.refusal, found.grant, found.until) == (None, "G-2", NOW + 9_000)


def test_broken_glass_needs_no_directory_but_a_second_factor() -> None:
    glass = (Approved(grant="G-9", ends_at=NOW + 60_000, is_break_glass=True),)
    away = replace(KNOWN, membership=None, unknown="away", approved=glass)
    assert decide(away).grant == "G-9"
    refused = decide(replace(away, person=replace(ALICE, methods=("pwd",)))).refusal
    assert refused is not None
    assert refused.code == "SecondFactorNeeded"


def test_a_token_that_leaves_groups_out_tells_nothing() -> None:
    source = TokenGroups()
    assert source.ask(ALICE, {"g-dev", "g-ops"}).groups == {"g-dev"}
    with pytest.raises(GroupsUnknown):
        source.ask(replace(ALICE, groups=None), {"g-dev"})


def test_the_directory_itself_comes_before_claims_of_an_older_sign_in() -> None:
    person = replace(ALICE, claims={"dept": ("ops",)})
    live = replace(KNOWN, person=person, is_live=True)
    assert decide(live).because == "claim:dept=ops"
    disabled = decide(replace(live, membership=Membership(groups=frozenset(), is_active=False))).refusal
    silent = decide(replace(live, membership=None, unknown="away")).refusal
    assert disabled is not None
    assert silent is not None
    assert (disabled.code, silent.code) == ("PersonDisabled", "GroupsUnknown")
