"""AssumeRoleWithWebIdentity with AWS's checks; ministack verifies nothing of a token and knows no `sts:RoleSessionName` there."""

from collections.abc import Mapping
from typing import Any

from isthmus_lab.adapter.iam import WEB_IDENTITY
from isthmus_lab.adapter.sessions import Origin
from isthmus_lab.call import current
from isthmus_lab.pack.assuming import Assuming, answer, check_parameters
from isthmus_lab.pack.forms import Form
from isthmus_lab.pack.issuers import Issuers
from isthmus_lab.pack.providers import Providers
from isthmus_lab.pack.refusals import StsError, denied
from isthmus_lab.pack.stamps import Stamps, stamps_of
from isthmus_lab.pack.tokens import Token, read, verify

_KEPT_CLAIMS = ("aud", "sub", "amr")
_ROLES = "https://aws.amazon.com/roles"


class WebIdentity:
    """Answers AssumeRoleWithWebIdentity. Blocking: it may fetch an issuer's keys."""

    def __init__(self, assuming: Assuming, issuers: Issuers, providers: Providers) -> None:
        self._assuming, self._adapter = assuming, assuming.adapter
        self._issuers, self._providers = issuers, providers

    def __call__(self, form: Form) -> dict[str, Any]:
        """The answer's members; StsError where STS refuses."""
        check_parameters(form, "RoleArn", "WebIdentityToken")
        if form.get("ProviderId"):
            raise StsError("InvalidIdentityToken", "ProviderId is not expected with an OpenID Connect token")
        session_name, target = form["RoleSessionName"], self._assuming.target(form)
        token = read(form["WebIdentityToken"])
        provider = self._providers.for_issuer(target.account, token.issuer)
        if provider is None:
            raise StsError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {token.issuer}")
        verify(token, self._issuers, provider["ClientIDList"], self._adapter.clock())
        _check_roles_claim(token, target.arn)
        stamps = stamps_of(token.claims)
        _note(form, token, provider["Arn"], stamps)
        role = target.role
        if role is None:
            raise denied(f"Not authorized to perform {WEB_IDENTITY}")
        keys = {**_condition_keys(token, provider["Arn"], session_name), **stamps.request_keys()}
        for action in (WEB_IDENTITY, *stamps.actions()):
            if not self._adapter.iam.trusts_provider(role["AssumeRolePolicyDocument"], provider["Arn"], target.arn, keys, action):
                raise denied(f"Not authorized to perform {action}")
        seconds = self._assuming.duration(form, role)
        origin = _origin(keys, stamps, provider["Arn"])
        credentials = self._assuming.open(form, role, session_name, seconds, origin, stamps.tags)
        found = {"SubjectFromWebIdentityToken": token.subject, "Audience": token.audiences[0], "Provider": provider["Arn"]}
        identity = {"SourceIdentity": stamps.source_identity} if stamps.source_identity else {}
        return {**answer(credentials, role, session_name), **found, **identity}


def _origin(keys: Mapping[str, Any], stamps: Stamps, provider: str) -> Origin:
    """AWS keeps sub, aud and amr of the token for the whole session, who federated it and the stamps; other claims end here."""
    kept = {key: value for key, value in keys.items() if key.rpartition(":")[2] in _KEPT_CLAIMS and not key.startswith(("sts:", "aws:"))}
    kept["aws:federatedprovider"] = provider
    return Origin(
        keys=kept | stamps.session_keys(), source_identity=stamps.source_identity, transitive=stamps.inherited(), provider=provider
    )


def _check_roles_claim(token: Token, role_arn: str) -> None:
    roles = token.claims.get(_ROLES)
    if roles is not None and role_arn not in (roles if isinstance(roles, list) else [roles]):
        raise StsError("InvalidIdentityToken", "The target role ARN is not present in the roles claim of the identity token")


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


def _note(form: Form, token: Token, provider: str, stamps: Stamps) -> None:
    """What the trail shows of the call: the token's person, never the token."""
    notes = current().notes
    notes.account = form["RoleArn"].split(":")[4]
    notes.identity = {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:{token.audiences[0]}:{token.subject}",
        "userName": token.subject,
        "identityProvider": provider,
    }
    duration = {"durationSeconds": int(form["DurationSeconds"])} if "DurationSeconds" in form else {}
    policy = {"policy": form["Policy"]} if "Policy" in form else {}
    named = {"roleArn": form["RoleArn"], "roleSessionName": form["RoleSessionName"]}
    notes.parameters = named | stamps.shown() | duration | policy
    notes.extra = {
        "identityProviderConnectionVerificationMethod": "IAMTrustStore",
        "RoleAuthorizedByIdp": _ROLES in token.claims,
        "RequestDetails": {"endpointType": "regional", "awsServingRegion": current().region},
    }
