"""The requests that the template tests cover: every combination of solutions, regions, tags and partitions that changes the output."""

from __future__ import annotations

import itertools

from isthmus.clouds.aws.template import AccessAsk, Directory, InventoryAsk, OnboardingAsk, PersonRole, TemplateRequest

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


TENANT = "11111111-2222-3333-4444-555555555555"
DEV, OPS = "6b1f4a52-8d3e-4f70-9c2b-1a5e7d904c38", "7c2f4a52-8d3e-4f70-9c2b-1a5e7d904c38"
CLIENT = "5d1f4a52-8d3e-4f70-9c2b-1a5e7d904c38"
READ_ONLY = ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
METADATA = (
    '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sts.windows.net/11111111-2222-3333-4444-555555555555/">'
    "<IDPSSODescriptor/></EntityDescriptor>"
).ljust(1000)
"""The template carries whatever was checked before it: this is not read again."""

DIRECTORIES = {
    "saml": Directory(mode="saml", entity_id=f"https://sts.windows.net/{TENANT}/", metadata=METADATA),
    "oidc-v2": Directory(mode="oidc", issuer_url=f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    "oidc-v1": Directory(mode="oidc", issuer_url=f"https://sts.windows.net/{TENANT}/"),
    "claims": Directory(mode="claims", issuer_url=f"https://login.microsoftonline.com/{TENANT}/v2.0", client_id=CLIENT),
}


def direct(name: str) -> AccessAsk:
    """Two roles behind a directory of `DIRECTORIES`."""
    roles = (
        PersonRole(name="Reader", managed_policies=READ_ONLY, requires_mfa=name == "oidc-v1", groups=(DEV, OPS), client_id=CLIENT),
        PersonRole(
            name="Ops",
            statements=({"Effect": "Allow", "Action": ["ec2:RebootInstances"], "Resource": ["*"]},),
            requires_mfa=False,
            groups=(OPS,),
            client_id="0" + CLIENT[1:],
            addresses=("192.0.2.0/24",),
        ),
    )
    return AccessAsk(roles=roles, directory=DIRECTORIES[name])


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
    **{name: direct(name) for name in DIRECTORIES},
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
