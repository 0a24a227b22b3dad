"""Settings of a solution as a form and back: what the API means and what a person chooses are the same."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.pages.connector.settings import Setting, SolutionType, fields_of, targets, typed_settings
from isthmus.solutions import inventory, onboarding

REGIONS = ("us-east-1", "eu-west-1")


def kind_of(solution: Any) -> SolutionType:
    """A solution type as the page reads it from the API."""
    bodies = [one.body() for one in solution.settings]
    return SolutionType(
        kind=solution.id,
        description=solution.description,
        settings=tuple(
            Setting(
                name=str(one["name"]),
                label=str(one["displayName"]),
                kind=str(one["type"]),
                description=str(one["description"]),
                default=str(one["defaultValue"]),
                options=tuple((value, value) for value in one["allowedValues"] if value),
                takes_others=one.get("allowsOtherValues") is True,
            )
            for one in bodies
        ),
    )


INVENTORY, ONBOARDING = kind_of(inventory.SOLUTION), kind_of(onboarding.SOLUTION)


def sent(kind: SolutionType, values: dict[str, str]) -> Form:
    """The form that a browser sends when it was filled from these values and nobody touched it."""
    pairs: list[tuple[str, str]] = []
    for field in fields_of(kind, values, "s", Problems()):
        if field.shape == "switch":
            pairs += [(field.name, "true")] if field.value == "true" else []
        elif field.shape == "list":
            known = {key for key, _ in field.options}
            pairs += [(field.everything, "all" if field.has_all else "some")] if field.everything else []
            pairs += [(field.name, word) for word in field.chosen if word in known]
            pairs += [(f"{field.name}-more", field.more)] if field.takes_others else []
        else:
            pairs.append((field.name, field.value))
    return Form(pairs=tuple(pairs))


@pytest.mark.parametrize(
    ("solution", "changed"),
    [
        (inventory.SOLUTION, {}),
        (inventory.SOLUTION, {"awsGlobalReadOnly": "false", "scanAllAWSServices": "false", "cloudProviderServiceTypes": "s3, ec2"}),
        (inventory.SOLUTION, {"periodicSync": "false", "periodicSyncTime": "24"}),
        (inventory.SOLUTION, {"scanAllAWSRegions": "false", "cloudProviderRegions": "eu-west-1, eu-central-2"}),
        (onboarding.SOLUTION, {"arcOnboardEc2FilterTag": "arc:yes", "proxyServer": "http://proxy.test:3128"}),
    ],
)
def test_a_form_that_nobody_touched_changes_nothing(solution: Any, changed: dict[str, str]) -> None:
    kind, stored = kind_of(solution), solution.complete(changed)
    assert solution.complete(typed_settings(sent(kind, stored), kind)) == stored


def test_a_list_that_names_less_than_everything_is_shown_as_such_even_where_everything_is_on() -> None:
    values = inventory.SOLUTION.complete({"scanAllAWSRegions": "true", "cloudProviderRegions": ", ".join(REGIONS)})
    regions = next(one for one in fields_of(INVENTORY, values, "s", Problems()) if one.name == "cloudProviderRegions")
    assert (regions.has_all, regions.chosen, regions.everything) == (False, REGIONS, "scanAllAWSRegions")
    assert regions.hint.endswith("Default: all.")


def test_both_settings_of_a_list_are_one_question_and_refusals_of_either_stand_there() -> None:
    names = [one.name for one in fields_of(INVENTORY, {}, "s", Problems())]
    assert "scanAllAWSRegions" not in names
    found = targets(INVENTORY, "s")
    assert found["properties.solutionSettings.scanAllAWSRegions"] == found["properties.solutionSettings.cloudProviderRegions"]
    wrong = Problems(found=(Problem(field="s-cloudProviderRegions", message="no"),))
    assert next(one.problem for one in fields_of(INVENTORY, {}, "s", wrong) if one.name == "cloudProviderRegions") == "no"


def test_an_empty_list_is_sent_as_it_is_so_that_the_api_refuses_it() -> None:
    typed = typed_settings(Form(pairs=(("scanAllAWSServices", "some"),)), INVENTORY)
    assert (typed["scanAllAWSServices"], typed["cloudProviderServiceTypes"]) == ("false", "")


def test_free_text_is_a_field() -> None:
    shapes = {one.name: one.shape for one in fields_of(ONBOARDING, {}, "s", Problems())}
    assert shapes["arcOnboardEc2FilterTag"] == "text"
    assert shapes["proxyServer"] == "text"
    assert shapes["periodicSyncTime"] == "choice"
