"""What the template is asked for: one account, and what each solution wants to be allowed there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.clouds.aws.template.directories import Directory, check_issuer

_ACCOUNT = re.compile(r"[0-9]{12}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
# AWS tag keys and values without the characters that CloudFormation or a shell would read.
TAG = re.compile(r"[\w _.:/=+@-]{1,128}:[\w _.:/=+@-]{0,256}")
PERSON_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9]{1,31}")
"""Names of roles for people: they stand in logical ids, which know letters and digits alone."""
MANAGED_POLICY = re.compile(r"arn:aws[a-z-]*:iam::(?:aws|[0-9]{12}):policy/[\w+=,.@/-]{1,512}", re.ASCII)

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")


@dataclass(frozen=True, kw_only=True, slots=True)
class InventoryAsk:
    """What inventory reads: service keys of the catalog, None for all of them; `global_read_only` takes AWS' ReadOnlyAccess instead."""

    services: tuple[str, ...] | None = None
    global_read_only: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class OnboardingAsk:
    """Where machines are onboarded: regions, None for all enabled ones; `filter_tag` is `key:value`, empty for every instance."""

    regions: tuple[str, ...] | None = None
    filter_tag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonRole:
    """A role for people, as its mapping asks for it. `managed_policies` are ARNs, `statements` are IAM statements (Effect, Action and
    Resource as lists, Condition), `machine_tag` is `key:value` of the instances on which shells may be opened (empty: none).

    The last three matter where a directory vouches in the account itself: groups that may come in, the client id of the role's own
    application, and addresses (CIDR) outside of which everything is denied."""

    name: str
    managed_policies: tuple[str, ...] = ()
    statements: tuple[Mapping[str, Any], ...] = ()
    requires_mfa: bool = True
    machine_tag: str = ""
    groups: tuple[str, ...] = ()
    client_id: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessAsk:
    """Roles for people; none yet is fine, they come with a later version of the template. `directory` vouches for people in the account
    itself; None where they come by our tokens. `trail_bucket` is where a trail of the account writes its files, below `trail_prefix`;
    empty: they are not read."""

    roles: tuple[PersonRole, ...] = ()
    directory: Directory | None = None
    trail_bucket: str = ""
    trail_prefix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateRequest:
    """One connector's wish list. `guid` is its `connectorPrimaryIdentifier`, `issuer_url` our OIDC issuer as AWS will call it.

    Raises ValueError for anything that could not stand in a template: it ends up in ARNs, conditions and patterns.
    """

    account: str
    guid: str
    issuer_url: str
    partition: str = "aws"
    inventory: InventoryAsk | None = None
    onboarding: OnboardingAsk | None = None
    access: AccessAsk | None = None

    def __post_init__(self) -> None:
        if not _ACCOUNT.fullmatch(self.account):
            raise ValueError(f"An AWS account id has 12 digits, not {self.account!r}.")
        if not _GUID.fullmatch(self.guid):
            raise ValueError(f"The connector's identifier is a GUID, not {self.guid!r}.")
        if self.partition not in _PARTITIONS:
            raise ValueError(f"{self.partition!r} is none of the partitions {', '.join(_PARTITIONS)}.")
        if self.inventory is None and self.onboarding is None and self.access is None:
            raise ValueError("The template needs at least one solution that reaches the account.")
        check_issuer(self.issuer_url)
        if self.onboarding:
            _check_onboarding(self.onboarding)
        if self.access:
            _check_access(self.access)
            directory = self.access.directory
            if directory is not None and directory.issuer_url == self.issuer_url:
                raise ValueError("The directory's issuer is Isthmus itself; people come by its tokens in the mode broker.")

    @property
    def issuer(self) -> str:
        """The issuer without its scheme: how IAM names the provider and its condition keys. A trailing slash is significant."""
        return self.issuer_url.removeprefix("https://")

    @property
    def provider_arn(self) -> str:
        """ARN of the OIDC provider in the account."""
        return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{self.issuer}"


def _check_onboarding(ask: OnboardingAsk) -> None:
    if ask.regions is not None:
        if not ask.regions:
            raise ValueError("Onboarding needs at least one region.")
        for region in ask.regions:
            if not _REGION.fullmatch(region):
                raise ValueError(f"{region!r} is no AWS region.")
    if ask.filter_tag and not TAG.fullmatch(ask.filter_tag):
        raise ValueError(f"The tag filter reads key:value; got {ask.filter_tag!r}.")


def _check_access(ask: AccessAsk) -> None:
    for asked in ask.roles:
        if not PERSON_ROLE.fullmatch(asked.name):
            raise ValueError(f"A role for people has a name of 2 to 32 letters and digits; got {asked.name!r}.")
        for arn in asked.managed_policies:
            if not MANAGED_POLICY.fullmatch(arn):
                raise ValueError(f"{arn!r} is no ARN of a managed policy.")
        if asked.machine_tag and not TAG.fullmatch(asked.machine_tag):
            raise ValueError(f"The machine tag reads key:value; got {asked.machine_tag!r}.")
    if len({asked.name.lower() for asked in ask.roles}) != len(ask.roles):
        raise ValueError("Two roles for people have the same name.")
