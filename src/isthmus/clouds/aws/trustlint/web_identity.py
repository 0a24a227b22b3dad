"""Rules for roles that tokens of OIDC providers open."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from isthmus.clouds.aws.trustlint.documents import Bond, Condition, binding, bond, is_true, on
from isthmus.clouds.aws.trustlint.doors import Door, oidc_doors, saml_doors
from isthmus.clouds.aws.trustlint.estate import Estate
from isthmus.clouds.aws.trustlint.issuers import fixes_tenant, is_whole_tenant
from isthmus.clouds.aws.trustlint.rule import Rule, Spot

_APPLICATION = re.compile(r"(?:api://)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_JUDGED: Final = ("aud", "sub", "amr")
BY_IDP: Final = "sts:RoleAuthorizedByIdp"
TAGGED, SOURCED = "sts:TagSession", "sts:SetSourceIdentity"
STS_AUDIENCE: Final = "sts.amazonaws.com"


def _no_audience(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        instead = door.known.keys if door.known and door.is_shared else ()
        if door.bond("aud") is Bond.ABSENT and not any(claim == "app_id" for claim in instead):
            yield _spot(door, f"takes tokens of {door.issuer} for any audience that the provider lists")


def _no_subject(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.bond("sub") is Bond.ABSENT and not door.is_shared and not _is_one_application(door) and not _is_otherwise_bound(door):
            yield _spot(door, f"takes every subject of {door.issuer}")


def _audience_alone(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.bond("sub") is Bond.ABSENT and _is_one_application(door):
            yield _spot(door, f"takes whoever gets a token of {door.issuer} for {', '.join(door.values('aud'))}")


def _cannot_fail(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        for claim in _JUDGED:
            if door.bond(claim) is Bond.CANNOT_FAIL:
                written = ", ".join(one.written for one in on(door.conditions, door.key(claim)))
                yield _spot(door, f"names {claim} only with {written}, which lets in everybody but those it was meant to keep out")
        if on(door.conditions, BY_IDP) and not is_true(door.conditions, BY_IDP):
            yield _spot(door, f"names {BY_IDP} in a way that does not demand it to be true")


def _everything(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        for claim in ("aud", "sub"):
            if door.bond(claim) is Bond.EVERYTHING:
                values = ", ".join(repr(value) for value in door.values(claim))
                yield _spot(door, f"demands of {claim} of {door.issuer} only what every token meets ({values})")


def _crosses(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.known is None or not door.is_shared or door.bond("sub") is not Bond.BOUND or _is_otherwise_bound(door):
            continue
        bound = binding(door.conditions, door.key("sub"))
        open_ = [_loose(door, one) for one in bound]
        if all(open_):
            yield _spot(door, f"takes subjects of other tenants of {door.known.name}: {', '.join(open_[0])} (meant: {door.known.example})")


def _whole_tenant(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        issuer = door.known
        for one in binding(door.conditions, door.key("sub")) if issuer else ():
            assert issuer is not None
            wide = [value for value in one.values if is_whole_tenant(issuer, value, reads_wildcards=one.reads_wildcards)]
            if wide:
                yield _spot(door, f"takes everything of a tenant of {issuer.name}: {', '.join(wide)}")


def _unbound(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.known and door.is_shared and door.bond("sub") is Bond.ABSENT and not _is_otherwise_bound(door):
            yield _spot(door, f"takes tokens that any tenant of {door.known.name} can get (name {door.known.example})")


def _literal_wildcard(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        for claim in ("aud", "sub"):
            for one in binding(door.conditions, door.key(claim)):
                starred = [value for value in one.values if "*" in value and not one.reads_wildcards]
                if starred:
                    yield _spot(door, f"compares {claim} with {starred[0]!r} by {one.written}, where * is just a letter")


def _one_factor(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.is_for_people and door.bond("amr") is Bond.ABSENT:
            yield _spot(door, f"lets people in by {door.issuer} whether or not they proved a second factor")


def _any_role(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in oidc_doors(estate):
        if door.is_private and door.is_for_people and not on(door.conditions, BY_IDP):
            yield _spot(door, f"takes tokens of {door.issuer} that were made for another role")


def _stamps_expected(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in (*oidc_doors(estate), *saml_doors(estate)):
        wanted = {
            TAGGED: any(one.key == "aws:tagkeys" or one.key.startswith("aws:requesttag/") for one in door.conditions),
            SOURCED: bool(on(door.conditions, "sts:SourceIdentity")),
        }
        lacking = [action for action, is_wanted in wanted.items() if is_wanted and not door.allows(action)]
        if lacking:
            yield _spot(door, f"demands stamps of sessions and does not allow {' and '.join(lacking)}, so that no sign-in succeeds")


def _stamps_missing(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in (*oidc_doors(estate), *saml_doors(estate)):
        is_for_people = door.is_for_people if "saml-provider" not in door.provider else True
        lacking = [action for action in (TAGGED, SOURCED) if not door.allows(action)]
        if is_for_people and lacking:
            yield _spot(door, f"does not allow {' and '.join(lacking)} for {door.provider}")


def _shared_audience(estate: Estate, _now: float) -> Iterator[Spot]:
    takers: dict[str, set[str]] = defaultdict(set)
    for door in oidc_doors(estate):
        if STS_AUDIENCE in door.values("aud"):
            takers[door.provider].add(door.role.name)
    for provider, roles in sorted(takers.items()):
        if len(roles) > 1:
            some = ", ".join(sorted(roles)[:5]) + (f" and {len(roles) - 5} more" if len(roles) > 5 else "")
            yield Spot(resource=provider, told=f"{len(roles)} roles take one audience, {STS_AUDIENCE}: {some}.")


def _loose(door: Door, one: Condition) -> list[str]:
    assert door.known is not None
    return [value for value in one.values if not fixes_tenant(door.known, value, reads_wildcards=one.reads_wildcards)]


def _is_otherwise_bound(door: Door) -> bool:
    """By another claim that names the tenant, or on a private issuer by the e-mail address."""
    claims = door.known.keys if door.known else ("email",)
    return any(bond(door.conditions, door.key(claim)) is Bond.BOUND for claim in claims)


def _is_one_application(door: Door) -> bool:
    """Whether a directory's tokens are taken for certain applications of its owner: the directory decides who gets those."""
    is_directory = door.known is not None and door.known.is_directory
    return is_directory and door.bond("aud") is Bond.BOUND and all(_APPLICATION.fullmatch(value) for value in door.values("aud"))


def _spot(door: Door, seen: str) -> Spot:
    return Spot(resource=door.role.arn, told=f"Role {door.role.name} {seen}.")


RULES: Final = (
    Rule(
        id="oidc-no-audience",
        severity="Error",
        asks="A role that takes tokens names their audience.",
        because="A token made for another application would open the role as well.",
        remedy="Add StringEquals with <issuer>:aud to the trust policy; give each role or account an audience of its own.",
        look=_no_audience,
    ),
    Rule(
        id="oidc-no-subject",
        severity="Error",
        asks="A role that takes tokens names their subject.",
        because="Everybody and everything that the issuer knows could take the role.",
        remedy="Add StringEquals (or StringLike with a fixed beginning) with <issuer>:sub to the trust policy.",
        look=_no_subject,
    ),
    Rule(
        id="oidc-audience-alone",
        severity="Warning",
        asks="Who takes a role is said by more than the audience.",
        because="Only the directory's assignment of people to the application decides then, which is up to the application's owners.",
        remedy="Demand assignment at the application, restrict its owners, or name subjects.",
        look=_audience_alone,
    ),
    Rule(
        id="oidc-condition-cannot-fail",
        severity="Error",
        asks="Conditions on aud, sub and amr can fail.",
        because="…IfExists and ForAllValues hold when the key is missing, and negative operators hold for every stranger.",
        remedy="Use StringEquals, StringLike, or ForAnyValue:StringEquals for lists.",
        look=_cannot_fail,
    ),
    Rule(
        id="oidc-matches-everything",
        severity="Error",
        asks="Patterns of aud and sub leave something out.",
        because="*, ?* and the like match every token: the condition is there and demands nothing. One such value among several suffices.",
        remedy="Name the audience and the subjects that are meant.",
        look=_everything,
    ),
    Rule(
        id="oidc-subject-crosses-tenants",
        severity="Error",
        asks="A pattern of subjects of a shared issuer fixes the tenant before its first wildcard.",
        because="Strangers choose names that match (repo:acme* matches repo:acme-evil/…), and get tokens of the same issuer.",
        remedy="Write the tenant out with the sign that ends it, for example repo:your-organization/your-repository:ref:refs/heads/main.",
        look=_crosses,
    ),
    Rule(
        id="oidc-subject-whole-tenant",
        severity="Warning",
        asks="A pattern of subjects names the repository, project or workspace.",
        because="Whoever may create one of those in the tenant takes the role, on any branch and in any pull request.",
        remedy="Name the repository or project, and the branch or environment.",
        look=_whole_tenant,
    ),
    Rule(
        id="shared-issuer-unbound",
        severity="Error",
        asks="A role that takes tokens of a shared issuer says whose they have to be.",
        because="Anybody in the world can get a token of this issuer, and choose its audience.",
        remedy="Add a condition on <issuer>:sub that begins with your organization, group or account.",
        look=_unbound,
    ),
    Rule(
        id="oidc-literal-wildcard",
        severity="Warning",
        asks="Wildcards stand where they are read as such.",
        because="StringEquals compares * literally, so nobody comes in, until somebody repairs it in a hurry.",
        remedy="Use StringLike for patterns.",
        look=_literal_wildcard,
    ),
    Rule(
        id="people-one-factor",
        severity="Warning",
        asks="A role for people demands a second factor.",
        because="A stolen password is enough, and AWS does not see the difference.",
        remedy="Add ForAnyValue:StringEquals with <issuer>:amr mfa (Entra tells it in v1 tokens alone), or demand it at the directory.",
        look=_one_factor,
    ),
    Rule(
        id="private-issuer-any-role",
        severity="Warning",
        asks="A role for people that a private issuer opens demands that the token names it.",
        because="A token that was made for one role opens every other one with the same audience.",
        remedy="Add Bool sts:RoleAuthorizedByIdp true, and put the role into the claim https://aws.amazon.com/roles.",
        look=_any_role,
    ),
    Rule(
        id="stamps-not-allowed",
        severity="Warning",
        asks="Who has to stamp sessions is allowed to.",
        because="A token with tags or a source identity is refused as a whole when the trust policy does not allow to set them.",
        remedy="Add a statement that allows sts:TagSession and sts:SetSourceIdentity to the same provider.",
        look=_stamps_expected,
    ),
    Rule(
        id="people-unstamped",
        severity="Note",
        asks="Sessions of people can be stamped.",
        because="Without tags and a source identity CloudTrail cannot be joined to a person and a grant once sessions are chained.",
        remedy="Allow sts:TagSession and sts:SetSourceIdentity in a statement of their own, and demand them there.",
        look=_stamps_missing,
    ),
    Rule(
        id="audience-shared",
        severity="Note",
        asks="Roles have audiences of their own.",
        because="With one audience for all, only the subject tells the roles apart; a mistake in one pattern opens it to every pipeline.",
        remedy="Give each role its own audience where the issuer can, and keep the subjects exact.",
        look=_shared_audience,
    ),
)
