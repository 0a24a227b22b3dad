"""AssumeRoleWithSAML, which ministack lacks. AWS's order of checks is not public; ours goes from the token to the role."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from isthmus_lab.adapter.sessions import Origin
from isthmus_lab.call import current
from isthmus_lab.pack.assertions import Assertion, verify
from isthmus_lab.pack.assuming import Assuming, answer, check_parameters, is_session_name
from isthmus_lab.pack.forms import Form
from isthmus_lab.pack.refusals import StsError, denied
from isthmus_lab.pack.saml_metadata import SamlMetadataError, read_metadata
from isthmus_lab.pack.stamps import Stamps, check_stamps

_ACTION = "sts:AssumeRoleWithSAML"
_ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
_TAG = f"{_ATTRIBUTES}PrincipalTag:"
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):saml-provider/(?P<name>[\w._-]{1,128})", re.ASCII)
_PERSON = {
    "1.3.6.1.4.1.5923.1.1.1.1": "edupersonaffiliation",
    "1.3.6.1.4.1.5923.1.1.1.5": "edupersonprimaryaffiliation",
    "1.3.6.1.4.1.5923.1.1.1.6": "edupersonprincipalname",
    "1.3.6.1.4.1.5923.1.1.1.7": "edupersonentitlement",
    "1.3.6.1.4.1.5923.1.1.1.9": "edupersonscopedaffiliation",
    "1.3.6.1.4.1.5923.1.1.1.11": "edupersonassurance",
}
"""Attributes by object identifier (`urn:oid:…`) that are condition keys of trust policies."""

_KEPT = ("saml:namequalifier", "saml:sub", "saml:sub_type")


class Saml:
    """Answers AssumeRoleWithSAML."""

    def __init__(self, assuming: Assuming) -> None:
        self._assuming, self._adapter = assuming, assuming.adapter

    def __call__(self, form: Form) -> dict[str, Any]:
        """The answer's members; StsError where STS refuses."""
        check_parameters(form, "RoleArn", "PrincipalArn", "SAMLAssertion", names_session=False)
        target, provider = self._assuming.target(form), form["PrincipalArn"]
        assertion = self._verified(form["SAMLAssertion"], provider, target.account)
        session_name = assertion.only(f"{_ATTRIBUTES}RoleSessionName")
        if not is_session_name(session_name):
            raise StsError("InvalidIdentityToken", "RoleSessionName is required in the assertion: 2 to 64 characters of [\\w+=,.@-]")
        stamps, qualifier = _stamps(assertion), _qualifier(assertion.issuer, provider)
        _note(form, assertion, session_name, qualifier, stamps)
        role = target.role
        if role is None or not _offers(assertion, target.arn, provider) or "/AWSReservedSSO_" in target.arn:
            raise denied(f"Not authorized to perform {_ACTION}")
        keys = {**_condition_keys(assertion, provider, qualifier, session_name), **stamps.request_keys()}
        for action in (_ACTION, *stamps.actions()):
            if not self._adapter.iam.trusts_provider(role["AssumeRolePolicyDocument"], provider, target.arn, keys, action):
                raise denied(f"Not authorized to perform {action}")
        seconds: float = self._assuming.duration(form, role)
        if assertion.session_until is not None:
            seconds = min(seconds, assertion.session_until - self._adapter.clock())
        if seconds <= 0:
            raise StsError("ExpiredTokenException", "The session of the assertion is over")
        kept = {key: keys[key] for key in _KEPT} | {"aws:federatedprovider": provider} | stamps.session_keys()
        origin = Origin(keys=kept, source_identity=stamps.source_identity, transitive=stamps.inherited(), provider=provider)
        credentials = self._assuming.open(form, role, session_name, seconds, origin, stamps.tags)
        told = {
            "Subject": assertion.subject,
            "SubjectType": assertion.subject_type,
            "Issuer": assertion.issuer,
            "Audience": assertion.recipient,
            "NameQualifier": qualifier,
        }
        identity = {"SourceIdentity": stamps.source_identity} if stamps.source_identity else {}
        return {**answer(credentials, role, session_name), **told, **identity}

    def _verified(self, response: str, provider: str, account: str) -> Assertion:
        named = _PROVIDER.fullmatch(provider)
        record = self._adapter.iam.saml_provider(account, provider) if named and named["account"] == account else None
        if record is None:
            raise StsError("InvalidIdentityToken", "Specified provider doesn't exist")
        try:
            metadata = read_metadata(record["SAMLMetadataDocument"])
        except SamlMetadataError as error:
            raise StsError("InvalidIdentityToken", f"The provider's metadata cannot be used: {error}") from error
        return verify(response, metadata, self._adapter.clock())


def _stamps(assertion: Assertion) -> Stamps:
    tags = {name.removeprefix(_TAG): assertion.only(name) for name in assertion.attributes if name.startswith(_TAG)}
    transitive = assertion.attributes.get(f"{_ATTRIBUTES}TransitiveTagKeys", ())
    stamps = Stamps(tags=tags, transitive=transitive, source_identity=assertion.only(f"{_ATTRIBUTES}SourceIdentity"))
    check_stamps(stamps, "InvalidIdentityToken", names_identity=f"{_ATTRIBUTES}SourceIdentity" in assertion.attributes)
    return stamps


def _offers(assertion: Assertion, role_arn: str, provider: str) -> bool:
    """Whether the attribute Role has the pair of role and provider, in either order."""
    pairs = [tuple(part.strip() for part in value.split(",")) for value in assertion.attributes.get(f"{_ATTRIBUTES}Role", ())]
    return (role_arn, provider) in pairs or (provider, role_arn) in pairs


def _qualifier(issuer: str, provider: str) -> str:
    """AWS's NameQualifier: it tells equal subjects of different providers apart."""
    account, name = provider.split(":")[4], provider.rpartition("/")[2]
    return base64.b64encode(hashlib.sha1(f"{issuer}{account}/{name}".encode(), usedforsecurity=False).digest()).decode()


def _condition_keys(assertion: Assertion, provider: str, qualifier: str, session_name: str) -> dict[str, Any]:
    """Lower-case condition keys of the assumption; lists have every value."""
    keys: dict[str, Any] = {
        "saml:aud": assertion.recipient,
        "saml:iss": assertion.issuer,
        "saml:sub": assertion.subject,
        "saml:sub_type": assertion.subject_type,
        "saml:namequalifier": qualifier,
        "saml:doc": f"{provider.split(':')[4]}/{provider.rpartition('/')[2]}",
        "sts:rolesessionname": session_name,
        "aws:federatedprovider": provider,
    }
    for number, name in _PERSON.items():
        if values := assertion.attributes.get(f"urn:oid:{number}"):
            keys[f"saml:{name}"] = list(values)
    return keys


def _note(form: Form, assertion: Assertion, session_name: str, qualifier: str, stamps: Stamps) -> None:
    """What the trail shows of the call: the assertion's person, never the assertion."""
    notes = current().notes
    notes.account = form["RoleArn"].split(":")[4]
    notes.identity = {
        "type": "SAMLUser",
        "principalId": f"{qualifier}:{assertion.subject}",
        "userName": assertion.subject,
        "identityProvider": assertion.issuer,
    }
    wanted: Mapping[str, Any] = {
        "sAMLAssertionID": assertion.id,
        "roleSessionName": session_name,
        "roleArn": form["RoleArn"],
        "principalArn": form["PrincipalArn"],
    }
    duration = {"durationSeconds": int(form["DurationSeconds"])} if "DurationSeconds" in form else {}
    notes.parameters = {**wanted, **stamps.shown(), **duration}
