"""What has to be set up at the directory, from the mappings: written so that it can be done line by line. Pure.

Names of claims and attributes are case-sensitive. Sources: IAM, "Configure SAML assertions for the authentication response"; Entra ID,
"Custom claims provider", "Configure group claims" and the tutorial for AWS Single-Account Access. Never tried with a real tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.access.mappings import BROKER, RoleMapping
from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.directories import CLAIMS, OIDC, SAML, Directory
from isthmus.clouds.aws.template.federation import PERSON_TAG, recipient
from isthmus.clouds.contract import ScanTarget
from isthmus.identity.trust import ENTRA_CALLER

ATTRIBUTES: Final = "https://aws.amazon.com/SAML/Attributes/"
GROUPS_ATTRIBUTE: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to do; `values` are (name, value) to be copied exactly."""

    title: str
    details: str
    values: tuple[tuple[str, str], ...] = ()


def instructions(
    mode: str, directory: Directory | None, target: ScanTarget, mappings: Sequence[RoleMapping], claims_url: str, connector: str
) -> dict[str, Any]:
    """Steps for one mode, in order, and the roles with what the directory has to know of each. `connector` is its name, for commands."""
    arn = f"arn:{target.partition}:iam::{target.account}:saml-provider/{names.saml_provider(target.guid)}"
    found = sorted(mappings, key=lambda one: one.name.lower())
    steps = {
        BROKER: lambda: _broker(),
        SAML: lambda: _saml(target, arn, found, connector),
        OIDC: lambda: _oidc(directory, found),
        CLAIMS: lambda: _claims(directory, found, claims_url),
    }[mode]()
    roles = [
        {
            "mapping": one.name,
            "roleArn": one.role_arn,
            "groups": sorted(one.groups),
            "clientId": (directory.client_id if directory and mode == CLAIMS else one.client_id) or None,
            "samlRole": f"{one.role_arn},{arn}" if mode == SAML else None,
        }
        for one in found
    ]
    shown = [
        {"title": one.title, "details": one.details, "values": [{"name": name, "value": value} for name, value in one.values]}
        for one in steps
    ]
    return {"federation": mode, "accountId": target.account, "steps": shown, "roles": roles, "offboarding": _OFFBOARDING[mode]}


_OFFBOARDING: Final = {
    BROKER: "Offboarding ends everything here: nothing is minted from that moment on.",
    SAML: "Isthmus makes the account deny the person's sessions, known by session name, source identity and tag, for a day. New sign-ins "
    "are the directory's: disable the person there, or take away the assignment.",
    OIDC: "AWS sees no name that Isthmus would know, so the account denies every session of its people that began before; others sign in "
    "again. New sign-ins are the directory's: disable the person there, or take away the assignment.",
    CLAIMS: "Isthmus gives the directory no claims for them any more and makes the account deny their sessions. Disable the person in "
    "the directory as well.",
}


def _broker() -> list[Step]:
    text = "People sign in to Isthmus with the directory, and Isthmus signs what AWS reads. See: docs/how-to/sign-in-with-your-directory.md"
    return [Step(title="Nothing at AWS", details=text)]


def _saml(target: ScanTarget, arn: str, mappings: Sequence[RoleMapping], connector: str) -> list[Step]:
    where = recipient(target.partition)
    return [
        Step(
            title="Create an enterprise application that is in no gallery",
            details="One for this account. Entra's gallery application for AWS wants a long-lived access key; this one needs none. Entra "
            "takes an Identifier once per tenant, so it ends with # and the account; assertions name what stands before the # as their "
            "audience, which is what AWS takes (Microsoft documents it for its AWS application; unverified for one that is in no gallery). "
            f"Should AWS refuse the audience, override the audience claim with {where}. The Reply URL has no #.",
            values=(("Identifier (Entity ID)", f"{where}#{target.account}"), ("Reply URL (Recipient)", where)),
        ),
        Step(
            title="Set the NameID",
            details="Exactly one SubjectConfirmationData, with NotOnOrAfter and this Recipient, comes by itself.",
            values=(("NameID", "user.objectid"), ("Format", "persistent"), ("Recipient", where)),
        ),
        Step(
            title="Set the attributes",
            details="No namespace; names are case-sensitive. The object id makes sessions deniable.",
            values=(
                (f"{ATTRIBUTES}Role", "user.assignedroles"),
                (f"{ATTRIBUTES}RoleSessionName", "user.objectid"),
                (f"{ATTRIBUTES}SourceIdentity", "user.objectid"),
                (f"{ATTRIBUTES}PrincipalTag:{PERSON_TAG}", "user.objectid"),
                (f"{ATTRIBUTES}SessionDuration", '"3600"'),
                (GROUPS_ATTRIBUTE, "group claim: groups assigned to the application, source attribute group id"),
            ),
        ),
        Step(
            title="Make an app role of each AWS role",
            details="Its value is the role's ARN, a comma and the provider's ARN. Assign each app role to the groups of its mapping.",
            values=tuple((one.name, f"{one.role_arn},{arn}") for one in mappings),
        ),
        _assignment(mappings),
        _conditional_access("AWS has no condition key for a second factor of SAML: this policy is the only one who asks for it."),
        Step(
            title="Give Isthmus the metadata, then update the stack",
            details="Sign assertions with SHA-256. Download 'Federation Metadata XML': isthmus access federation use "
            f"{connector} --mode saml --metadata FILE",
            values=(("Provider in the account", arn),),
        ),
    ]


def _oidc(directory: Directory | None, mappings: Sequence[RoleMapping]) -> list[Step]:
    version = "2 (accessTokenAcceptedVersion / requestedAccessTokenVersion 2)"
    if directory is not None and directory.tells_methods:
        version = "1, whose tokens tell the methods of the sign-in (amr); whether its ID tokens do is unverified"
    issuer = directory.issuer_url if directory else "https://login.microsoftonline.com/TENANT/v2.0"
    return [
        Step(
            title="Register one application for each role",
            details="AWS sees no groups of a private issuer: who may sign in to the role's application holds the role. Nobody else's.",
            values=tuple((one.name, one.client_id or "client id not set yet: clientId of the role mapping") for one in mappings),
        ),
        Step(title="Token version", details=f"Version {version}. The issuer counts to the last slash.", values=(("iss", issuer),)),
        _assignment(mappings),
        _conditional_access(
            "AWS itself demands amr mfa in roles whose mapping says requiresMfa; this policy makes the directory ask for it."
            if directory is not None and directory.tells_methods
            else "Tokens of version 2 do not tell AWS of a second factor: this policy is the only one who asks for it."
        ),
    ]


def _claims(directory: Directory | None, mappings: Sequence[RoleMapping], url: str) -> list[Step]:
    client = directory.client_id if directory else "CLIENT-ID"
    return [
        Step(
            title="Register one application for all roles of this account",
            details="Its manifest says acceptMappedClaims true; AWS takes tokens that are made for it alone.",
            values=(("Client id", client),),
        ),
        Step(
            title="Create a custom authentication extension",
            details="Type TokenIssuanceStart, timeout 2,000 ms, at most one retry. Entra calls it while it issues a token and issues none "
            "when it fails, so sign-ins depend on Isthmus.",
            values=(("Target URL", url), ("Caller (azp or appid)", ENTRA_CALLER)),
        ),
        Step(
            title="Let the application take its claims",
            details="Source: custom claims provider. Names are case-sensitive.",
            values=(
                ("https://aws.amazon.com/roles", "multi-valued"),
                ("https://aws.amazon.com/source_identity", "one value"),
                (f"https://aws.amazon.com/tags/principal_tags/{PERSON_TAG}", "one value"),
                ("https://aws.amazon.com/tags/principal_tags/groups", "one value"),
                ("https://aws.amazon.com/tags/transitive_tag_keys", "multi-valued"),
            ),
        ),
        Step(
            title="Provision the directory to Isthmus",
            details="Entra does not tell the extension any groups; they come by SCIM. See: docs/how-to/provision-from-entra.md",
        ),
        _assignment(mappings),
        _conditional_access("Ask for a second factor here; AWS sees one in tokens of version 1 alone."),
    ]


def _assignment(mappings: Sequence[RoleMapping]) -> Step:
    return Step(
        title="Set 'Assignment required' to yes, and assign the groups",
        details="Who is not assigned cannot sign in at all (AADSTS50105). Groups by object id; nested groups do not count for assignments.",
        values=tuple((one.name, ", ".join(sorted(one.groups))) for one in mappings),
    )


def _conditional_access(why: str) -> Step:
    return Step(title="Make a Conditional Access policy", details=f"For this application: require multifactor authentication. {why}")
