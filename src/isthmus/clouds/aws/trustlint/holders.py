"""Rules for everybody else who holds access: other accounts, roles whose sessions last, roles of Identity Center, users with keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from isthmus.clouds.aws.trustlint.documents import Bond, Condition, bond, demands, statements
from isthmus.clouds.aws.trustlint.doors import oidc_doors, saml_doors
from isthmus.clouds.aws.trustlint.estate import AccessKey, Estate, Role, User
from isthmus.clouds.aws.trustlint.rule import Rule, Spot

DAY: Final = 86_400
OLDEST_KEY: Final = 90 * DAY
LONGEST_SESSION: Final = 3_600
_ASSUME = "sts:AssumeRole"
_ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?(?P<account>\d{12})(?::root)?")
_INSIDE = ("aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:SourceAccount", "aws:SourceArn")
"""Keys that say which accounts are meant."""


def _everyone(estate: Estate, _now: float) -> Iterator[Spot]:
    for role, value, conditions in _trusted(estate):
        if value == "*" and not _is_bound(conditions, _INSIDE):
            yield Spot(resource=role.arn, told=f"Role {role.name} trusts every AWS account in the world.")


def _foreign(estate: Estate, _now: float) -> Iterator[Spot]:
    for role, value, conditions in _trusted(estate):
        found = _ACCOUNT.fullmatch(value)
        if found and found["account"] != estate.account and not _is_bound(conditions, ("sts:ExternalId", *_INSIDE)):
            yield Spot(resource=role.arn, told=f"Role {role.name} trusts everybody in account {found['account']}.")


def _long(estate: Estate, _now: float) -> Iterator[Spot]:
    for_people = {door.role.arn for door in oidc_doors(estate) if door.is_for_people} | {door.role.arn for door in saml_doors(estate)}
    for role in estate.roles:
        if role.arn in for_people and role.longest > LONGEST_SESSION:
            told = f"Sessions of role {role.name} last up to {role.longest / 3600:g} hours."
            yield Spot(resource=role.arn, told=told)


def _identity_center(estate: Estate, _now: float) -> Iterator[Spot]:
    yield from (
        Spot(resource=role.arn, told=f"Role {role.name} belongs to IAM Identity Center.")
        for role in estate.roles
        if role.is_identity_center
    )


def _console_without_mfa(estate: Estate, _now: float) -> Iterator[Spot]:
    for user in estate.users:
        if user.has_password and not user.has_mfa and not user.is_root:
            yield Spot(resource=user.arn, told=f"User {user.name} has a password for the console and no second factor.")


def _root_key(estate: Estate, _now: float) -> Iterator[Spot]:
    yield from (
        Spot(resource=user.arn, told="The account's root has an access key.") for user in estate.users if user.is_root and user.keys
    )


def _old_key(estate: Estate, now: float) -> Iterator[Spot]:
    for user, key in _keys(estate):
        if now - key.made_at > OLDEST_KEY:
            yield Spot(
                resource=user.arn, told=f"Access key {key.number} of user {user.name} is {int((now - key.made_at) // DAY)} days old."
            )


def _unused_key(estate: Estate, now: float) -> Iterator[Spot]:
    for user, key in _keys(estate):
        if key.used_at is None and now - key.made_at > DAY:
            yield Spot(resource=user.arn, told=f"Access key {key.number} of user {user.name} was never used.")


def _trusted(estate: Estate) -> Iterator[tuple[Role, str, tuple[Condition, ...]]]:
    """Who may assume which role from AWS itself, on what conditions. Whoever is only excepted leaves everybody else."""
    for role in estate.roles:
        every = statements(role.trust)
        for one in every if not role.is_aws_owned else ():
            if one.effect != "Allow" or not one.covers(_ASSUME):
                continue
            for kind, value in (("AWS", "*"),) if one.excepted else one.principals:
                if kind == "AWS":
                    yield role, value, demands(every, one, kind, value, _ASSUME)


def _is_bound(conditions: tuple[Condition, ...], keys: tuple[str, ...]) -> bool:
    return any(bond(conditions, key) is Bond.BOUND for key in keys)


def _keys(estate: Estate) -> Iterator[tuple[User, AccessKey]]:
    yield from ((user, key) for user in estate.users for key in user.keys)


RULES: Final = (
    Rule(
        id="trust-everyone",
        severity="Error",
        asks="No role trusts every AWS account.",
        because="Whoever learns the role's ARN takes it; an external id is no secret.",
        remedy="Name accounts or roles as principals, or add StringEquals aws:PrincipalOrgID.",
        look=_everyone,
    ),
    Rule(
        id="trust-foreign-account",
        severity="Warning",
        asks="A role that trusts another account as a whole demands an external id or an organization.",
        because="Everybody there may take it, and a service provider can be talked into taking it for another customer (confused deputy).",
        remedy="Name the role that is meant instead of the account, or add StringEquals sts:ExternalId or aws:PrincipalOrgID.",
        look=_foreign,
    ),
    Rule(
        id="people-long-session",
        severity="Warning",
        asks="Sessions of people last an hour at most.",
        because="A session goes on after the person has left, until it ends by itself or a policy denies it.",
        remedy="Set MaxSessionDuration to 3600.",
        look=_long,
    ),
    Rule(
        id="identity-center-role",
        severity="Note",
        asks="Sessions of a role can be taken away.",
        because="Nobody in the account can edit roles of IAM Identity Center: only a service control policy ends a session of one.",
        remedy="Keep a service control policy ready that denies by identitystore:UserId, or give these people roles by a role mapping.",
        look=_identity_center,
    ),
    Rule(
        id="user-console-one-factor",
        severity="Error",
        asks="Users with a password for the console have a second factor.",
        because="A password is all that stands between the account and everybody else.",
        remedy="Delete the login profile and let the person sign in by the directory, or register a device.",
        look=_console_without_mfa,
    ),
    Rule(
        id="root-access-key",
        severity="Error",
        asks="The account's root has no access key.",
        because="It can do everything, and no policy of the account limits it.",
        remedy="Delete the key.",
        look=_root_key,
    ),
    Rule(
        id="user-key-old",
        severity="Warning",
        asks="Access keys of users are not older than 90 days.",
        because="Keys that live for years lie in many places by then.",
        remedy="Replace the key by a role with short sessions; where that cannot be, rotate it.",
        look=_old_key,
    ),
    Rule(
        id="user-key-unused",
        severity="Warning",
        asks="Access keys of users are used.",
        because="A key that nobody uses is missed by nobody when it is stolen.",
        remedy="Deactivate the key, and delete it when nobody complains.",
        look=_unused_key,
    ),
)
