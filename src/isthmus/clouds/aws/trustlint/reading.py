"""Reads an account's trust: roles, providers and users, each on its own, so that a missing permission blinds one part and not the rest.

Roles come from ListRoles, which tells the longest session and the trust policy in pages of 1,000; the account's authorization details do
not tell the former, and bring every policy besides.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.trustlint import report
from isthmus.clouds.aws.trustlint.certificates import saml_provider
from isthmus.clouds.aws.trustlint.estate import Estate, OidcProvider, Role, SamlProvider, User
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import Blind, ScanTarget

T = TypeVar("T")
AT_ONCE: Final = 8
"""Providers that are read at the same time."""
LOOKS: Final = 30
PAUSE: Final = 2.0
"""How often, and after how many seconds each, a report that is being made is asked for."""
_NO_REPORT = frozenset({"ReportExpired", "ReportInProgress", "ReportNotPresent", "CredentialReportExpiredException"})

Sleep = Callable[[float], Awaitable[object]]


async def read_estate(sessions: Sessions, target: ScanTarget, sleep: Sleep) -> tuple[Estate, tuple[Blind, ...]]:
    """The account's trust and what could not be read of it. Raises AwsError or AwsTransportError when our role cannot be assumed."""
    await sessions.check(target)
    blind: list[Blind] = []

    async def part(name: str, reading: Awaitable[tuple[T, ...]]) -> tuple[T, ...]:
        try:
            return await reading
        except (AwsError, AwsTransportError) as error:
            failure = judge(error)
            blind.append(Blind(part=name, reason=failure.reason, action=failure.action))
        except ValueError as error:
            blind.append(Blind(part=name, reason=str(error)))
        return ()

    roles, oidc, saml, users = await asyncio.gather(
        part("roles", read_roles(sessions, target)),
        part("oidcProviders", _oidc(sessions, target)),
        part("samlProviders", _saml(sessions, target)),
        part("users", _users(sessions, target, sleep)),
    )
    found = Estate(account=target.account, roles=roles, oidc=oidc, saml=saml, users=users)
    return found, tuple(sorted(blind, key=lambda one: one.part))


async def read_roles(sessions: Sessions, target: ScanTarget) -> tuple[Role, ...]:
    """Every role of the account. Raises AwsError, AwsTransportError."""
    pages = sessions.pages(target, "iam:ListRoles", {}, region=HOMES[target.partition])
    return tuple([_role(row) async for page in pages for row in page.get("Roles") or ()])


def _role(row: dict[str, Any]) -> Role:
    trust = row.get("AssumeRolePolicyDocument")
    return Role(
        arn=row["Arn"],
        name=row["RoleName"],
        path=row.get("Path") or "/",
        trust=trust if isinstance(trust, dict) else {},
        longest=int(row.get("MaxSessionDuration") or 3600),
    )


async def _oidc(sessions: Sessions, target: ScanTarget) -> tuple[OidcProvider, ...]:
    home = HOMES[target.partition]
    listed = await sessions.call(target, "iam:ListOpenIDConnectProviders", {}, region=home)

    async def one(arn: str) -> OidcProvider:
        found = await sessions.call(target, "iam:GetOpenIDConnectProvider", {"OpenIDConnectProviderArn": arn}, region=home)
        return OidcProvider(
            arn=arn,
            issuer=str(found.get("Url") or arn.partition(":oidc-provider/")[2]).removeprefix("https://"),
            audiences=tuple(found.get("ClientIDList") or ()),
            thumbprints=tuple(found.get("ThumbprintList") or ()),
        )

    return await _each([row["Arn"] for row in listed.get("OpenIDConnectProviderList") or ()], one)


async def _saml(sessions: Sessions, target: ScanTarget) -> tuple[SamlProvider, ...]:
    home = HOMES[target.partition]
    listed = await sessions.call(target, "iam:ListSAMLProviders", {}, region=home)

    async def one(arn: str) -> SamlProvider:
        found = await sessions.call(target, "iam:GetSAMLProvider", {"SAMLProviderArn": arn}, region=home)
        return saml_provider(arn, str(found.get("SAMLMetadataDocument") or ""))

    return await _each([row["Arn"] for row in listed.get("SAMLProviderList") or ()], one)


async def _users(sessions: Sessions, target: ScanTarget, sleep: Sleep) -> tuple[User, ...]:
    """A report is made where there is none of the last hours, which takes AWS some seconds."""
    home = HOMES[target.partition]
    for _ in range(LOOKS):
        state = (await sessions.call(target, "iam:GenerateCredentialReport", {}, region=home)).get("State")
        if state == "COMPLETE":
            try:
                found = await sessions.call(target, "iam:GetCredentialReport", {}, region=home)
            except AwsError as error:
                if error.code not in _NO_REPORT:
                    raise
            else:
                return report.users(base64.b64decode(str(found["Content"]), validate=True).decode())
        await sleep(PAUSE)
    raise ValueError(f"AWS did not make the credential report within {LOOKS * PAUSE:.0f} seconds; the next look may find it.")


async def _each(arns: list[str], one: Callable[[str], Awaitable[T]]) -> tuple[T, ...]:
    room = asyncio.Semaphore(AT_ONCE)

    async def within(arn: str) -> T:
        async with room:
            return await one(arn)

    return tuple(await asyncio.gather(*map(within, sorted(arns))))
