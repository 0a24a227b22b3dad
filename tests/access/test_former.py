"""Federations that the settings have left, and the account perhaps not: remembered, looked for, forgotten an hour after they are gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.access.federation import ACCESS, directory_of
from isthmus.access.former import FORMER, LONGEST_DIRECT, remembered, settled, shown, trusted, trusts
from isthmus.clouds.aws.template import PersonRole
from isthmus.clouds.aws.template.directories import Directory
from isthmus.clouds.aws.template.federation import PROVIDER, directory_trust, provider_arn
from isthmus.solutions.access import SOLUTION
from tests.support.metadata import ENTITY, certificate, metadata

NOW = 1_700_000_000_000
ACCOUNT, GUID = "123456789012", "aa5f1c9e-4f89-41d3-9a0c-0305e82c3301"
IDP, OTHER = "https://idp.test", "https://other.test"
BROKER = SOLUTION.complete({})
SAML = SOLUTION.complete({"federation": "saml", "samlMetadata": metadata(certificate(400, now=NOW / 1000))})
RENEWED = SOLUTION.complete({"federation": "saml", "samlMetadata": metadata(certificate(900, now=NOW / 1000))})
OIDC = SOLUTION.complete({"federation": "oidc", "federationIssuer": IDP})
CLAIMS = SOLUTION.complete({"federation": "claims", "federationIssuer": IDP, "federationClientId": "app", "claimsAudience": "api"})
Settings = dict[str, str]


def properties(settings: Any, former: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"solutionType": ACCESS, "solutionSettings": settings, **({FORMER: former} if former else {})}


def modes(former: list[dict[str, Any]]) -> list[str]:
    return [one["settings"]["federation"] for one in former]


def directory(settings: Any) -> Directory:
    found = directory_of(settings)
    assert found is not None
    return found


def mode(settings: Any, former: list[dict[str, Any]], now: int = NOW) -> str:
    found = trusted(properties(settings, former), now)
    return found.mode if found else "broker"


@pytest.mark.parametrize(
    ("first", "then", "left"),
    [
        (BROKER, SAML, []),
        (SAML, SAML, []),
        (SAML, RENEWED, []),
        (SAML, BROKER, ["saml"]),
        (SAML, OIDC, ["saml"]),
        (OIDC, CLAIMS, ["oidc"]),
        (OIDC, {**OIDC, "federationIssuer": OTHER}, ["oidc"]),
    ],
)
def test_what_is_left_is_remembered(first: Settings, then: Settings, left: list[str]) -> None:
    former = remembered(properties(first), then, NOW)
    assert modes(former) == left
    assert [(one["since"], one["until"]) for one in former] == [(NOW, None)] * len(left)


def test_each_is_remembered_once_until_it_comes_back() -> None:
    former = remembered(properties(SAML), OIDC, NOW)
    former = remembered(properties(OIDC, former), BROKER, NOW + 1)
    assert modes(former) == ["saml", "oidc"]
    again = remembered(properties(BROKER, former), SAML, NOW + 2)
    assert modes(again) == ["oidc"], "what the settings name is not former"
    assert modes(remembered(properties(SAML, again), BROKER, NOW + 3)) == ["oidc", "saml"]


def test_it_counts_for_a_session_more_after_it_was_seen_to_be_gone() -> None:
    former = remembered(properties(SAML), BROKER, NOW)
    assert mode(BROKER, former, NOW + 10**12) == "saml", "time alone changes no account"
    assert settled(properties(BROKER, former), lambda _one: False, NOW) == former
    gone = settled(properties(BROKER, former), lambda one: one.mode == "saml", NOW)
    assert [one["until"] for one in gone] == [NOW + LONGEST_DIRECT]
    assert settled(properties(BROKER, gone), lambda _one: True, NOW + 5) == gone, "another look does not prolong it"
    assert (mode(BROKER, gone, NOW + LONGEST_DIRECT - 1), mode(BROKER, gone, NOW + LONGEST_DIRECT)) == ("saml", "broker")
    assert settled(properties(BROKER, gone), lambda _one: True, NOW + LONGEST_DIRECT) == []
    [told] = shown(properties(BROKER, gone))
    assert (told["federation"], told["issuer"], bool(told["until"])) == ("saml", ENTITY, True)


def test_sessions_that_carry_nothing_ask_for_more() -> None:
    assert mode(SAML, remembered(properties(OIDC), SAML, NOW)) == "oidc"
    assert mode(OIDC, remembered(properties(SAML), OIDC, NOW)) == "oidc"
    assert trusted({"solutionType": "Microsoft.AssetManagement", "solutionSettings": {}}, NOW) is None


def document(settings: Any) -> tuple[dict[str, Any], str]:
    """A person's role as the template makes it under settings, and the provider that it names."""
    one = directory(settings)
    asked = PersonRole(name="Reader", groups=("g-dev",), client_id="app", requires_mfa=False, managed_policies=(), statements=())
    arn = provider_arn(one, ACCOUNT, GUID, "aws")
    text = json.dumps(directory_trust(one, asked, "aws"))
    for stands in ({"Fn::If": ["MakeDirectoryProvider", {"Ref": PROVIDER}, {"Ref": "ExistingDirectoryProviderArn"}]}, {"Ref": PROVIDER}):
        text = text.replace(json.dumps(stands), json.dumps(arn))
    return json.loads(text), arn


@pytest.mark.parametrize("stands", [SAML, OIDC, CLAIMS])
@pytest.mark.parametrize("asked", [SAML, OIDC, CLAIMS])
def test_whom_a_role_trusts_is_told_apart(stands: Settings, asked: Settings) -> None:
    """Also modes that name the same provider."""
    found, _ = document(stands)
    _, arn = document(asked)
    assert trusts(found, directory(asked), arn) is (stands == asked)


def test_another_saml_directory_under_the_same_provider_is_another() -> None:
    found, arn = document(SAML)
    other = Directory(mode="saml", entity_id="https://sts.windows.net/other/", metadata=directory(SAML).metadata)
    assert not trusts(found, other, arn)
    del found["Statement"][0]["Condition"]["StringEquals"]["SAML:iss"]
    assert trusts(found, other, arn), "in doubt it is trusted"
    found["Statement"][0]["Effect"] = "Deny"
    assert not trusts(found, other, arn)
    assert not trusts({}, other, arn)
