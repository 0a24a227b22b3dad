"""Access of people at AWS: their sessions, the policy that ends them, and the shells that outlive credentials. Fulfils
`contract.AccessCloud`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping
from typing import Any, Final, TypeVar

from isthmus.clouds.aws import names
from isthmus.clouds.aws.outcomes import DENIED, judge
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.template.access import PROBE
from isthmus.clouds.aws.trustlint.certificates import saml_provider
from isthmus.clouds.aws.wire import AwsError, AwsTransportError, Credentials
from isthmus.clouds.contract import PersonCredentials, ScanTarget, ShellOwner, SigningCertificate

T = TypeVar("T")
MAX_VERSIONS: Final = 5
"""Versions that IAM keeps of a managed policy."""
_TRUST = frozenset({"AccessDenied", "InvalidIdentityToken"})


class AwsAccess:
    """Calls AWS about people. One per process and event loop; writes of one account's policy take turns."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._turns: dict[ScanTarget, asyncio.Lock] = {}

    async def exchange(
        self, target: ScanTarget, role: str, *, token: str, session_name: str, policy: str, seconds: int
    ) -> PersonCredentials:
        """See the contract."""
        params = {
            "RoleArn": names.role_arn(target.account, role, target.partition),
            "RoleSessionName": session_name,
            "DurationSeconds": seconds,
            "Policy": policy,
        }
        try:
            made = await self._sessions.exchange(lambda: token, params, region=HOMES[target.partition])
        except AwsError as error:
            if error.code in _TRUST:
                raise PermissionError(
                    f"Account {target.account} gave no session of role {role}: {error.code}: {error.message}. Whoever owns the "
                    "connector updates its CloudFormation stack from the present template; if it is up to date, they compare it for drift."
                ) from error
            raise ConnectionError(judge(error).reason) from error
        except AwsTransportError as error:
            raise ConnectionError(judge(error).reason) from error
        return PersonCredentials(
            access_key=made.access_key, secret_key=made.secret_key, session_token=made.token or "", expires_at=made.expires_at
        )

    async def probe(self, target: ScanTarget, credentials: PersonCredentials) -> bool:
        """See the contract. A session that AWS no longer knows has ended as well."""
        held = Credentials(
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            token=credentials.session_token,
            expires_at=credentials.expires_at,
        )
        try:
            await self._sessions.call_as(held, PROBE, {"AccessKeyId": credentials.access_key}, region=HOMES[target.partition])
        except AwsError as error:
            if error.code in DENIED or error.code in ("ExpiredToken", "InvalidClientTokenId"):
                return False
            raise ConnectionError(judge(error).reason) from error
        except AwsTransportError as error:
            raise ConnectionError(judge(error).reason) from error
        return True

    async def denies(self, target: ScanTarget, document: str) -> bool:
        """See the contract. Two reads."""
        _, _, held = await _translated(self._versions(target))
        return bool(held == json.loads(document))

    async def deny(self, target: ScanTarget, document: str) -> None:
        """See the contract. The default version is compared first, so that a repeated order costs two reads; of five versions the oldest
        gives way."""
        async with self._turns.setdefault(target, asyncio.Lock()):
            await _translated(self._write(target, document))

    async def end_shells(self, target: ScanTarget, region: str, owners: Collection[ShellOwner]) -> Mapping[ShellOwner, int]:
        """See the contract. The names of people's sessions end with their source identity, and the reason of a
        shell begins with its grant (`isthmus ssm`). However many people leave, the sessions are listed once."""
        return await _translated(self._end_shells(target, region, owners))

    async def certificates(self, target: ScanTarget) -> tuple[SigningCertificate, ...]:
        """See the contract."""
        arn = f"arn:{target.partition}:iam::{target.account}:saml-provider/{names.saml_provider(target.guid)}"
        asked = {"SAMLProviderArn": arn}
        found = await _translated(self._sessions.call(target, "iam:GetSAMLProvider", asked, region=HOMES[target.partition]))
        read = saml_provider(arn, str(found.get("SAMLMetadataDocument") or ""))
        if read.problem:
            raise PermissionError(f"The metadata of {arn} cannot be read: {read.problem}")
        return tuple(
            SigningCertificate(fingerprint=one.fingerprint, subject=one.subject, expires_at=one.expires_at) for one in read.certificates
        )

    async def _versions(self, target: ScanTarget) -> tuple[list[dict[str, Any]], str, Any]:
        """The versions of the policy, which of them counts, and what that one says."""
        asked = {"PolicyArn": _revocations(target)}
        listed = await self._sessions.call(target, "iam:ListPolicyVersions", asked, region=HOMES[target.partition])
        versions: list[dict[str, Any]] = listed.get("Versions") or []
        current = next((one["VersionId"] for one in versions if one.get("IsDefaultVersion")), "")
        if not current:
            return versions, "", None
        asked["VersionId"] = current
        found = await self._sessions.call(target, "iam:GetPolicyVersion", asked, region=HOMES[target.partition])
        return versions, current, found["PolicyVersion"]["Document"]

    async def _write(self, target: ScanTarget, document: str) -> None:
        home, arn = HOMES[target.partition], _revocations(target)
        versions, current, held = await self._versions(target)
        if held == json.loads(document):
            return
        if len(versions) >= MAX_VERSIONS:
            oldest = min((one for one in versions if one["VersionId"] != current), key=lambda one: int(one["VersionId"].lstrip("v")))
            await self._sessions.call(target, "iam:DeletePolicyVersion", {"PolicyArn": arn, "VersionId": oldest["VersionId"]}, region=home)
        made = {"PolicyArn": arn, "PolicyDocument": document, "SetAsDefault": True}
        await self._sessions.call(target, "iam:CreatePolicyVersion", made, region=home)

    async def _end_shells(self, target: ScanTarget, region: str, owners: Collection[ShellOwner]) -> Counter[ShellOwner]:
        found: dict[str, ShellOwner] = {}
        async for page in self._sessions.pages(target, "ssm:DescribeSessions", {"State": "Active"}, region=region):
            for shell in page.get("Sessions") or ():
                owner = next((one for one in owners if _is_of(shell, one)), None)
                if owner is not None:
                    found[shell["SessionId"]] = owner
        calls = (self._sessions.call(target, "ssm:TerminateSession", {"SessionId": id}, region=region) for id in found)
        failures = [one for one in await asyncio.gather(*calls, return_exceptions=True) if isinstance(one, BaseException)]
        if failures:
            raise failures[0]
        return Counter(found.values())


def _revocations(target: ScanTarget) -> str:
    return names.policy_arn(target.account, names.revocations_policy(target.guid), target.partition)


def _is_of(shell: Mapping[str, Any], owner: ShellOwner) -> bool:
    """By the session that opened it (`…:assumed-role/ROLE/NAME`), which AWS names, and by its reason, which whoever opens it chooses."""
    _, role, name = ["", "", *str(shell.get("Owner", "")).split("/")][-3:]
    reason = str(shell.get("Reason", "")).partition(":")[0].strip()
    return name.endswith(f".{owner.source}") and owner.role in ("", role) and reason not in owner.spared - {owner.grant}


async def _translated(work: Awaitable[T]) -> T:
    try:
        return await work
    except AwsError as error:
        failure = judge(error)
        if failure.outcome in ("denied", "scp") or error.code in (*_TRUST, "NoSuchEntity"):
            raise PermissionError(failure.reason) from error
        raise ConnectionError(failure.reason) from error
    except AwsTransportError as error:
        raise ConnectionError(judge(error).reason) from error
