"""Rules for SAML providers and the roles that their assertions open, and for OIDC providers themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from isthmus.clouds.aws.trustlint.documents import Bond, binding, bond
from isthmus.clouds.aws.trustlint.doors import Door, saml_doors
from isthmus.clouds.aws.trustlint.estate import Certificate, Estate
from isthmus.clouds.aws.trustlint.issuers import known
from isthmus.clouds.aws.trustlint.rule import Rule, Spot

DAY: Final = 86_400
SOON: Final = 30 * DAY
_SMALLEST_RSA: Final = 2048
_OLD_DIGESTS = frozenset({"md5", "sha1"})
_FRAME = frozenset({"saml:aud", "saml:iss", "saml:doc", "saml:namequalifier", "saml:sub_type"})
"""Keys that say nothing about the person."""


def _no_audience(estate: Estate, _now: float) -> Iterator[Spot]:
    for door in saml_doors(estate):
        if bond(door.conditions, "saml:aud") is not Bond.BOUND:
            yield Spot(resource=door.role.arn, told=f"Role {door.role.name} takes assertions for any recipient.")


def _without_group(estate: Estate, _now: float) -> Iterator[Spot]:
    by_provider: dict[str, list[Door]] = defaultdict(list)
    for door in saml_doors(estate):
        by_provider[door.provider].append(door)
    for provider, found in by_provider.items():
        roles = {door.role.arn for door in found}
        if len(roles) < 2:
            continue
        for door in found:
            about = {one.key for one in door.conditions if one.key.startswith("saml:")} - _FRAME
            if not any(binding(door.conditions, key) for key in about):
                told = f"Role {door.role.name} is one of {len(roles)} that {provider} opens, and demands no group of the person."
                yield Spot(resource=door.role.arn, told=told)


def _expired(estate: Estate, now: float) -> Iterator[Spot]:
    for arn, one in _certificates(estate):
        if one.expires_at <= now:
            yield Spot(resource=arn, told=f"The certificate of {one.subject} expired on {_date(one.expires_at)}.")


def _expires(estate: Estate, now: float) -> Iterator[Spot]:
    for arn, one in _certificates(estate):
        if now < one.expires_at <= now + SOON:
            days = int((one.expires_at - now) // DAY)
            told = f"The certificate of {one.subject} expires on {_date(one.expires_at)}, in {days} day{'' if days == 1 else 's'}."
            yield Spot(resource=arn, told=told)


def _weak(estate: Estate, _now: float) -> Iterator[Spot]:
    for arn, one in _certificates(estate):
        if 0 < one.bits < _SMALLEST_RSA:
            yield Spot(resource=arn, told=f"The certificate of {one.subject} has an RSA key of {one.bits} bits.")
        if one.digest in _OLD_DIGESTS:
            yield Spot(resource=arn, told=f"The certificate of {one.subject} is signed with {one.digest.upper()}.")


def _unreadable(estate: Estate, _now: float) -> Iterator[Spot]:
    yield from (Spot(resource=one.arn, told=f"Its metadata could not be read: {one.problem}") for one in estate.saml if one.problem)


def _by_thumbprint(estate: Estate, _now: float) -> Iterator[Spot]:
    for one in estate.oidc:
        real = [print_ for print_ in one.thumbprints if len(set(print_.lower())) > 1]
        if real and known(one.issuer) is None:
            told = f"AWS holds {len(real)} thumbprint{'' if len(real) == 1 else 's'} for {one.issuer}, a private issuer."
            yield Spot(resource=one.arn, told=told)


def _certificates(estate: Estate) -> Iterator[tuple[str, Certificate]]:
    yield from ((provider.arn, one) for provider in estate.saml for one in provider.certificates)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


RULES: Final = (
    Rule(
        id="saml-no-audience",
        severity="Warning",
        asks="A role that takes assertions names their recipient.",
        because="An assertion that was made for another endpoint would be taken.",
        remedy="Add StringEquals SAML:aud https://signin.aws.amazon.com/saml to the trust policy.",
        look=_no_audience,
    ),
    Rule(
        id="saml-without-group",
        severity="Warning",
        asks="Where a SAML provider opens several roles, each demands a group.",
        because="Whoever may change the Role attribute at the provider gives everybody every role; AWS has no second opinion.",
        remedy="Add ForAnyValue:StringEquals SAML:edupersonentitlement with the group's object id, and let the provider send it.",
        look=_without_group,
    ),
    Rule(
        id="saml-certificate-expired",
        severity="Error",
        asks="No certificate of a SAML provider has expired.",
        because="Sign-ins fail, or hang on a certificate that its owner no longer guards.",
        remedy="Upload the provider's present metadata (UpdateSAMLProvider), without the old certificate.",
        look=_expired,
    ),
    Rule(
        id="saml-certificate-expires",
        severity="Warning",
        asks="Every certificate of a SAML provider is good for 30 days more.",
        because="On the day it expires nobody signs in.",
        remedy="Make a new certificate at the provider, upload metadata with both, switch, and upload it without the old one.",
        look=_expires,
    ),
    Rule(
        id="saml-certificate-weak",
        severity="Warning",
        asks="Certificates of SAML providers have RSA keys of 2048 bits and are not signed with SHA-1.",
        because="Who forges one assertion is everybody in every role.",
        remedy="Make a new certificate (RSA 2048 or more, SHA-256) at the provider and upload the metadata.",
        look=_weak,
    ),
    Rule(
        id="saml-metadata-unreadable",
        severity="Warning",
        asks="The metadata of a SAML provider can be read.",
        because="Nobody can say when its certificates expire.",
        remedy="Upload the provider's present metadata.",
        look=_unreadable,
    ),
    Rule(
        id="oidc-by-thumbprint",
        severity="Note",
        asks="An OIDC provider's server has a certificate of a public CA.",
        because="Where AWS does not trust the CA of its server, a SHA-1 thumbprint is all that says whose keys are fetched; where it does, "
        "thumbprints are not looked at. IAM does not tell which is so.",
        remedy="Serve the issuer's keys with a certificate of a public CA.",
        look=_by_thumbprint,
    ),
)
