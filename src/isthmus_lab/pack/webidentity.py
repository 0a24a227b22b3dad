"""AssumeRoleWithWebIdentity with AWS's checks; ministack verifies nothing of a token and knows no `sts:RoleSessionName` there."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from isthmus_lab.adapter import SESSION_KEYS, WEB_IDENTITY, Adapter
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.pack.forms import Form, read_form, text
from isthmus_lab.pack.issuers import Issuers
from isthmus_lab.pack.providers import Providers
from isthmus_lab.pack.stamps import Stamps, stamps_of
from isthmus_lab.pack.tokens import Token, TokenError, read, verify
from isthmus_lab.world import Response, RoleCredentials

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?:[\x21-\x7e]*/)?(?P<name>[\w+=,.@-]{1,64})", re.ASCII
)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_OPERATION = "AssumeRoleWithWebIdentity"
_DENIED = f"Not authorized to perform sts:{_OPERATION}"
_KEPT_CLAIMS = ("aud", "sub", "amr")
_ROLES = "https://aws.amazon.com/roles"


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class WebIdentity:
    """The wrapper around ministack's STS."""

    def __init__(self, adapter: Adapter, issuers: Issuers, providers: Providers) -> None:
        self._adapter, self._issuers, self._providers = adapter, issuers, providers

    async def __call__(self, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        form, is_json = _form(headers, body, query)
        action = form.get("Action", "")
        if action == "AssumeRole" and (problem := _parameter_problem(form, needs_token=False) or self._duration_problem(form)):
            return self._adapter.error("sts", "ValidationError", problem, 400, headers)
        if action != _OPERATION:
            return await inner(method, path, headers, body, query)
        try:
            result = await asyncio.to_thread(self._assume, form)
        except TokenError as error:
            return _refusal(400, error.code, error.message, is_json)
        except _RefusedError as error:
            return _refusal(error.status, error.code, error.message, is_json)
        return _as_json(result) if is_json else _as_xml(result)

    def _duration_problem(self, form: Form) -> str | None:
        """Why AssumeRole refuses the asked duration: above the role's maximum, or above one hour for a chained role."""
        target = _ROLE_ARN.fullmatch(form["RoleArn"])
        role = self._adapter.role(target["account"], target["name"]) if target else None
        seconds = int(form.get("DurationSeconds") or 3600)
        if role is not None and seconds > int(role.get("MaxSessionDuration") or 3600):
            return "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        if seconds > 3600 and ":assumed-role/" in self._adapter.caller_arn():
            return "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        return None

    def _assume(self, form: Form) -> dict[str, Any]:
        if problem := _parameter_problem(form, needs_token=True):
            raise _RefusedError(400, "ValidationError", problem)
        if form.get("ProviderId"):
            raise TokenError("InvalidIdentityToken", "ProviderId is not expected with an OpenID Connect token")
        role_arn, session_name = form["RoleArn"], form["RoleSessionName"]
        target = _ROLE_ARN.fullmatch(role_arn)
        if target is None:
            raise _RefusedError(400, "ValidationError", f"{role_arn} is invalid")
        account = target["account"]
        token = read(form["WebIdentityToken"])
        provider = self._providers.for_issuer(account, token.issuer)
        if provider is None:
            raise TokenError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {token.issuer}")
        verify(token, self._issuers, provider["ClientIDList"], self._adapter.clock())
        _check_roles_claim(token, role_arn)
        stamps = stamps_of(token.claims)
        role = self._adapter.role(account, target["name"])
        if role is None or role["Arn"] != role_arn:
            raise _RefusedError(403, "AccessDenied", _DENIED)
        keys = {**_condition_keys(token, provider["Arn"], session_name), **stamps.request_keys()}
        for action in (WEB_IDENTITY, *stamps.actions()):
            if not self._adapter.trust_allows(role["AssumeRolePolicyDocument"], provider["Arn"], role_arn, keys, action):
                raise _RefusedError(403, "AccessDenied", f"Not authorized to perform {action}")
        seconds = int(form.get("DurationSeconds") or 3600)
        if seconds > int(role.get("MaxSessionDuration") or 3600):
            raise _RefusedError(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        credentials = self._open(form, role, seconds, keys, stamps)
        identity = {"SourceIdentity": stamps.source_identity} if stamps.source_identity else {}
        return {**_result(credentials, token, role, session_name, provider["Arn"]), **identity}

    def _open(self, form: Form, role: Mapping[str, Any], seconds: int, keys: Mapping[str, Any], stamps: Stamps) -> RoleCredentials:
        policy, arns = form.get("Policy", ""), _policy_arns(form)
        if problem := self._adapter.policy_problem(policy, arns, role["Arn"].split(":")[4]):
            raise _RefusedError(400, "MalformedPolicyDocument" if policy else "ValidationError", problem)
        # AWS keeps sub, aud and amr of the token for the whole session, who federated it and the stamps; other claims end here.
        kept = {
            key: value for key, value in keys.items() if key.rpartition(":")[2] in _KEPT_CLAIMS and not key.startswith(("sts:", "aws:"))
        }
        kept["aws:federatedprovider"] = keys["aws:federatedprovider"]
        if stamps.source_identity:
            kept["aws:sourceidentity"] = stamps.source_identity
        tags = [{"Key": key, "Value": value} for key, value in stamps.tags.items()]
        extra: dict[str, Any] = {SESSION_KEYS: kept, "SessionTags": tags}
        if policy or arns:
            extra["SessionPolicies"] = {"Policy": policy, "PolicyArns": arns}
        return self._adapter.open_session(role, form["RoleSessionName"], seconds, extra)


def _form(headers: Headers, body: bytes, query: Query) -> tuple[Form, bool]:
    target = headers.get("x-amz-target", "")
    if "amz-json" not in headers.get("content-type", ""):
        return read_form(query, body), False
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = {}
    form: Form = {"Action": target.rpartition(".")[2]}
    for name, one in (value if isinstance(value, dict) else {}).items():
        if name == "PolicyArns" and isinstance(one, list):
            form |= {
                f"PolicyArns.member.{number}.arn": str(row.get("arn", "")) for number, row in enumerate(one, 1) if isinstance(row, dict)
            }
        else:
            form[name] = str(one)
    return form, True


def _parameter_problem(form: Form, *, needs_token: bool) -> str | None:
    """The first constraint of the API's parameters that the request breaks."""
    lengths = [("RoleArn", 20, 2048), ("WebIdentityToken", 4, 20_000)] if needs_token else [("RoleArn", 20, 2048)]
    for name, least, most in lengths:
        if not least <= len(form.get(name, "")) <= most:
            return _broken(name, None, f"Member must have length between {least} and {most}")
    session_name, duration = form.get("RoleSessionName", ""), form.get("DurationSeconds", "")
    if not _SESSION_NAME.fullmatch(session_name):
        return _broken("RoleSessionName", session_name, "Member must have 2 to 64 characters and satisfy the pattern: [\\w+=,.@-]*")
    if duration and not (duration.isdecimal() and 900 <= int(duration) <= 43_200):
        return _broken("DurationSeconds", duration, "Member must have value between 900 and 43200")
    if len(form.get("Policy", "")) > 2048:
        return _broken("Policy", None, "Member must have length less than or equal to 2048")
    return None


def _broken(name: str, value: str | None, constraint: str) -> str:
    shown = "" if value is None else f" '{value}'"
    return f"1 validation error detected: Value{shown} at '{name[0].lower() + name[1:]}' failed to satisfy constraint: {constraint}"


def _check_roles_claim(token: Token, role_arn: str) -> None:
    roles = token.claims.get(_ROLES)
    if roles is not None and role_arn not in (roles if isinstance(roles, list) else [roles]):
        raise TokenError("InvalidIdentityToken", "The target role ARN is not present in the roles claim of the identity token")


def _condition_keys(token: Token, provider_arn: str, session_name: str) -> dict[str, Any]:
    """Lower-case condition keys of the assumption; `<host and path>:aud` is the audience that counted."""
    name = token.issuer.removeprefix("https://").lower()
    keys: dict[str, Any] = {
        f"{name}:aud": token.audiences[0] if len(token.audiences) == 1 else token.audiences,
        f"{name}:sub": token.subject,
        "sts:rolesessionname": session_name,
        "sts:roleauthorizedbyidp": "true" if _ROLES in token.claims else "false",
        "aws:federatedprovider": provider_arn,
    }
    for claim in ("amr", "email"):
        if claim in token.claims:
            keys[f"{name}:{claim}"] = token.claims[claim]
    if "azp" in token.claims and "aud" in token.claims:
        keys[f"{name}:oaud"] = token.claims["aud"]
    return keys


def _policy_arns(form: Form) -> list[str]:
    return [form[f"PolicyArns.member.{number}.arn"] for number in range(1, 11) if f"PolicyArns.member.{number}.arn" in form]


def _result(credentials: RoleCredentials, token: Token, role: Mapping[str, Any], session_name: str, provider_arn: str) -> dict[str, Any]:
    account = role["Arn"].split(":")[4]
    return {
        "Credentials": {
            "AccessKeyId": credentials.access_key,
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            "Expiration": int(credentials.expires_at),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role['RoleId']}:{session_name}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
        },
        "SubjectFromWebIdentityToken": token.subject,
        "Audience": token.audiences[0],
        "Provider": provider_arn,
        "PackedPolicySize": 0,
    }


def _as_json(result: Mapping[str, Any]) -> Response:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(result).encode()


def _as_xml(result: Mapping[str, Any]) -> Response:
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(result["Credentials"]["Expiration"]))
    shown = {**result, "Credentials": {**result["Credentials"], "Expiration": expiry}}
    body = (
        f'<{_OPERATION}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{_OPERATION}Result>{_elements(shown)}</{_OPERATION}Result>'
        f"<ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata></{_OPERATION}Response>"
    )
    return 200, {"Content-Type": "text/xml"}, body.encode()


def _elements(value: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_elements(one) if isinstance(one, Mapping) else text(one)}</{name}>" for name, one in value.items())


def _refusal(status: int, code: str, message: str, is_json: bool) -> Response:
    if is_json:
        return (
            status,
            {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code},
            json.dumps({"__type": code, "message": message}).encode(),
        )
    body = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text(message)}</Message></Error><RequestId>lab</RequestId>"
    return (
        status,
        {"Content-Type": "text/xml"},
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{body}</ErrorResponse>'.encode(),
    )
