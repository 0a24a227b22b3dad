"""The requests that the template tests cover: every combination of solutions, regions, tags and partitions that changes the output."""

from __future__ import annotations

import itertools

from isthmus.clouds.aws.template import AccessAsk, InventoryAsk, OnboardingAsk, PersonRole, TemplateRequest

ACCOUNT = "123456789012"
GUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ISSUER = "https://issuer.isthmus.test"

INVENTORIES = {
    "": None,
    "global": InventoryAsk(),
    "least": InventoryAsk(global_read_only=False),
    "least-ec2-s3": InventoryAsk(services=("ec2", "s3"), global_read_only=False),
}
ONBOARDINGS = {
    "": None,
    "everywhere": OnboardingAsk(),
    "two-regions-tagged": OnboardingAsk(regions=("eu-west-1", "us-east-1"), filter_tag="Arc Onboard:Yes/No"),
}
GOLDEN_ACTIONS = ("ec2:DescribeInstances", "s3:ListAllMyBuckets")
"""Inventory actions of the golden files, which must not change with every new type of the catalog."""


ACCESSES = {
    "roleless": AccessAsk(),
    "people": AccessAsk(
        roles=(
            PersonRole(name="ReadOnly", managed_policies=("arn:aws:iam::aws:policy/ReadOnlyAccess",)),
            PersonRole(
                name="Ops",
                statements=({"Effect": "Allow", "Action": ["ec2:RebootInstances"], "Resource": ["*"]},),
                machine_tag="team:ops",
            ),
            PersonRole(name="Guests", managed_policies=("arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",), requires_mfa=False),
        )
    ),
}


def request(
    inventory: InventoryAsk | None, onboarding: OnboardingAsk | None, partition: str = "aws", issuer: str = ISSUER
) -> TemplateRequest:
    return TemplateRequest(account=ACCOUNT, guid=GUID, issuer_url=issuer, partition=partition, inventory=inventory, onboarding=onboarding)


COMBINATIONS = (
    {f"access-{name}": TemplateRequest(account=ACCOUNT, guid=GUID, issuer_url=ISSUER, access=ask) for name, ask in ACCESSES.items()}
    | {
        "-".join(part for part in ("inventory" if i else "", i, "onboarding" if o else "", o) if part): request(
            INVENTORIES[i], ONBOARDINGS[o]
        )
        for i, o in itertools.product(INVENTORIES, ONBOARDINGS)
        if i or o
    }
    | {
        f"partition-{partition}": request(
            INVENTORIES["least"], OnboardingAsk(regions=(region,)), partition, "https://sts.example.org/tenant/v2/"
        )
        for partition, region in {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.items()
    }
)
