"""Tags, locations, api-versions, filters: the small rules of ARM bodies and queries."""

from __future__ import annotations

import pytest

from isthmus.arm import paging
from isthmus.arm.envelope import instant, location_of, tags_of
from isthmus.arm.errors import ArmError
from isthmus.arm.versions import accept


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("text", "InvalidRequestContent"),
        ({f"t{n}": "" for n in range(51)}, "InvalidTags"),
        ({"a<b": "x"}, "InvalidTagNameCharacters"),
        ({"": "x"}, "InvalidTagNameCharacters"),
        ({"a": 1}, "InvalidTagValue"),
        ({"a": "x" * 257}, "InvalidTagValue"),
        ({"Env": "1", "env": "2"}, "InvalidTags"),
    ],
)
def test_bad_tags_are_refused(given: object, code: str) -> None:
    with pytest.raises(ArmError) as caught:
        tags_of(given)
    assert caught.value.code == code


def test_tags_keep_their_case() -> None:
    assert tags_of({"Env": "Prod"}) == {"Env": "Prod"}
    assert tags_of(None) == {}


def test_locations_have_one_short_form() -> None:
    assert location_of("East US 2") == "eastus2"
    for wrong in (None, "", 3, "east/us", "!"):
        with pytest.raises(ArmError):
            location_of(wrong)


def test_instants_are_utc_with_milliseconds() -> None:
    assert instant(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"


@pytest.mark.parametrize(
    ("asked", "supported", "code"),
    [
        (None, ("2024-12-01",), "MissingApiVersionParameter"),
        ("", (), "MissingApiVersionParameter"),
        ("latest", (), "InvalidApiVersionParameter"),
        ("2024-12-01'--", ("2024-12-01",), "InvalidApiVersionParameter"),
        ("2020-01-01", ("2024-12-01",), "NoRegisteredProviderFound"),
    ],
)
def test_versions_are_required_and_known(asked: str | None, supported: tuple[str, ...], code: str) -> None:
    with pytest.raises(ArmError) as caught:
        accept(asked, supported, resource_type="NS/x")
    assert caught.value.code == code


def test_plumbing_takes_any_date() -> None:
    assert accept("2099-01-01-Preview", (), resource_type="NS/x") == "2099-01-01-preview"


def test_filters_are_eq_clauses() -> None:
    query = {"$filter": "resourceGroup eq 'aws_1' and tagName eq 'it''s' and tagValue eq 'x'"}
    assert paging.filter_of(query) == {"resourcegroup": "aws_1", "tagname": "it's", "tagvalue": "x"}
    for wrong in ("name ne 'x'", "drop table", "tagValue eq 'x'"):
        with pytest.raises(ArmError, match="filter"):
            paging.filter_of({"$filter": wrong})


def test_tokens_lead_back_to_their_key() -> None:
    key = "/subscriptions/0f/resourcegroups/rg/providers/ns/x/äö"
    assert paging.key_of({"$skiptoken": paging.token_of(key)}) == key
    for wrong in ("%%%", "AA==", "a" * 5):
        with pytest.raises(ArmError, match="skiptoken"):
            paging.key_of({"$skiptoken": wrong})


@pytest.mark.parametrize("wrong", ["0", "1001", "-1", "x", "٣"])
def test_page_sizes_have_bounds(wrong: str) -> None:
    with pytest.raises(ArmError, match="top"):
        paging.page_size({"$top": wrong})
