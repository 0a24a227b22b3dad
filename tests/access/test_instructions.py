"""What the steps say to copy exactly."""

from __future__ import annotations

import pytest

from isthmus.access.instructions import instructions
from isthmus.clouds.aws.template.directories import SAML
from isthmus.clouds.contract import ScanTarget
from tests.access.estate import GUID


def application(account: str, partition: str = "aws") -> dict[str, str]:
    """The values of the step that creates the application of an account."""
    target = ScanTarget(account=account, guid=GUID, solution="s", partition=partition)
    [step] = [one for one in instructions(SAML, None, target, [], "", "aws-1")["steps"] if one["title"].startswith("Create an enterprise")]
    return {one["name"]: one["value"] for one in step["values"]}


@pytest.mark.parametrize(
    ("partition", "place"),
    [
        ("aws", "https://signin.aws.amazon.com/saml"),
        ("aws-cn", "https://signin.amazonaws.cn/saml"),
        ("aws-us-gov", "https://signin.amazonaws-us-gov.com/saml"),
    ],
)
def test_each_account_is_an_application_of_its_own_which_aws_takes(partition: str, place: str) -> None:
    """Entra takes an Identifier once per tenant, and leaves what follows the # out of the audience."""
    found = [application(account, partition) for account in ("710000000001", "710000000002")]
    assert len({one["Identifier (Entity ID)"] for one in found}) == 2
    assert {one["Identifier (Entity ID)"].partition("#")[0] for one in found} == {place}
    assert {one["Reply URL (Recipient)"] for one in found} == {place}
