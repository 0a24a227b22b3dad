"""Claims for tokens that a directory is issuing: which roles of an account a person may take, and the marks that their sessions carry.

Entra calls before it issues a token, waits 2,000 ms at most, and issues none when there is no good answer: whatever is unclear here is an
error. The directory tells no groups, so a provisioned one does. Source: Entra ID, "onTokenIssuanceStart event reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from isthmus.access.federation import claims_connector
from isthmus.access.groups import GroupSource, GroupsUnknown
from isthmus.access.mappings import ROLE_MAPPINGS, RoleMapping, mapping_of
from isthmus.access.revocations import is_revoked
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.clouds.aws.template.directories import CLAIMS, Directory
from isthmus.clouds.aws.template.federation import GROUPS_TAG, PERSON_TAG
from isthmus.engine import Engine, Lookup
from isthmus.identity.evidence import SignedIn
from isthmus.identity.federation import IssuerKeys, KeysUnavailable
from isthmus.identity.jws import Refused, parse
from isthmus.identity.trust import CLAIMS_CALL, Context, verify

ACTION: Final = "Isthmus.Access/claims/provide"
LONGEST_TAG: Final = 256
_AWS: Final = "https://aws.amazon.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Whom a token is being issued to, as the directory tells it: object id, name for people, and the application they sign in to."""

    tenant: str
    client_id: str
    person: str
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A connector whose account trusts a directory in the mode claims, with the audience that calls about it are made for."""

    connector: str
    directory: Directory


@dataclass(frozen=True, kw_only=True)
class ClaimsProvider:
    """Answers a directory. `keys` must answer within a second or so."""

    engine: Engine
    lookup: Lookup
    groups: GroupSource
    keys: IssuerKeys

    def place(self, guid: str) -> Place:
        """The connector of an address. ArmError 404 `ClaimsNotOffered`."""
        with self.engine.store.read() as connection:
            found = claims_connector(connection, guid)
        if found is None:
            raise ArmError("ClaimsNotOffered", "No connector takes claims at this address.", status=404)
        return Place(connector=found[0], directory=found[1])

    def verify(self, place: Place, token: str) -> Mapping[str, Any]:
        """The claims of the directory's token for this call.

        ArmError 401 `InvalidAuthenticationToken`, 503 `IssuerUnavailable` when the directory's keys cannot be had in time."""
        directory = place.directory
        try:
            parsed = parse(token)
        except Refused as error:
            raise ArmError("InvalidAuthenticationToken", f"The {CLAIMS_CALL} was refused: {error}.", status=401) from None
        issuer = str(parsed.claims.get("iss", ""))
        issuer = issuer if issuer in issuers_of(directory) else directory.issuer_url
        try:
            keys = self.keys.keys(issuer, str(parsed.header.get("kid", "")))
        except KeysUnavailable as error:
            raise ArmError("IssuerUnavailable", f"The keys of the directory cannot be had: {error}.", status=503) from error
        audiences = frozenset({directory.audience})
        return verify(
            CLAIMS_CALL,
            token,
            Context(now=self.engine.clock(), keys=keys, issuer=issuer, audiences=audiences, tenant=tenant_of(directory)),
        )

    def provide(self, place: Place, asked: Asked, correlation: str) -> Mapping[str, Any]:
        """The claims for a person, recorded before they leave.

        ArmError 403 `AccessRevoked`, `NotAMember`, `PersonDisabled`, `WrongApplication`, `WrongTenant`, `TooManyGroups`; 503
        `GroupsUnknown`. Refusals are recorded too.
        """
        actor = Actor(id=asked.person, kind="User", name=asked.name, correlation=correlation)
        try:
            roles, held = self._held(place, asked)
            tag = groups_tag(held)
        except ArmError as error:
            self.engine.refuse(actor, ACTION, place.connector, error)
            raise
        detail = {"roles": roles, "groups": sorted(held), "application": asked.client_id}
        with self.engine.store.begin() as connection:
            if is_revoked(connection, asked.person):
                raise _revoked()
            self.engine.apply_within(connection, Change(detail=detail), actor, ACTION, place.connector)
        return {
            f"{_AWS}/roles": roles,
            f"{_AWS}/source_identity": asked.person,
            f"{_AWS}/tags/principal_tags/{PERSON_TAG}": asked.person,
            f"{_AWS}/tags/principal_tags/{GROUPS_TAG}": tag,
            f"{_AWS}/tags/transitive_tag_keys": [PERSON_TAG],
        }

    def _held(self, place: Place, asked: Asked) -> tuple[list[str], frozenset[str]]:
        if asked.client_id != place.directory.client_id:
            raise _refused("WrongApplication", "The token is issued for an application that opens no roles of this account.")
        if asked.tenant != tenant_of(place.directory):
            raise _refused("WrongTenant", "The person signs in at a tenant that this account does not trust.")
        with self.engine.store.read() as connection:
            revoked = is_revoked(connection, asked.person)
        if revoked:
            raise _revoked()
        mappings = self._mappings(place.connector)
        wanted = frozenset(group for one in mappings for group in one.groups)
        try:
            membership = self.groups.ask(_person(asked, self.engine.now()), wanted)
        except GroupsUnknown as error:
            raise ArmError("GroupsUnknown", f"{error} In federation claims they come by provisioning.", status=503) from error
        if not membership.is_active:
            raise _refused("PersonDisabled", "The provisioned directory does not know this person, or has disabled them.")
        held = membership.groups & wanted
        roles = sorted(one.role_arn for one in mappings if one.groups & held)
        if not roles:
            raise _refused("NotAMember", "The person is in no group that is mapped to a role of this account.")
        return roles, held

    def _mappings(self, connector: str) -> list[RoleMapping]:
        found = self.lookup.find(connector)
        assert found is not None
        return [mapping_of(one, found, federation=CLAIMS) for one in self.lookup.all(types=[ROLE_MAPPINGS], parent=connector)]


def groups_tag(held: frozenset[str]) -> str:
    """Groups as one session tag, each between colons. ArmError 403 `TooManyGroups`: half of them would be half of the truth."""
    text = f":{':'.join(sorted(held))}:"
    if len(text) > LONGEST_TAG:
        told = f"The groups that open roles here make a tag of {len(text)} characters, and AWS takes {LONGEST_TAG}: map fewer groups."
        raise _refused("TooManyGroups", told)
    return text


def tenant_of(directory: Directory) -> str:
    """The tenant in an issuer of Entra; of other issuers, the host."""
    parts = urlsplit(directory.issuer_url)
    return parts.path.strip("/").partition("/")[0] or str(parts.hostname)


def issuers_of(directory: Directory) -> frozenset[str]:
    """Issuers of tokens with which a directory calls: Entra's either version, whatever version it issues to people."""
    found = {directory.issuer_url}
    if directory.is_entra:
        host = "login.microsoftonline.com" if "sts.windows.net" in directory.issuer_url else str(urlsplit(directory.issuer_url).hostname)
        found |= {f"https://sts.windows.net/{tenant_of(directory)}/", f"https://{host}/{tenant_of(directory)}/v2.0"}
    return frozenset(found)


def _person(asked: Asked, now: int) -> SignedIn:
    return SignedIn(id="", object_id=asked.person, issuer="", subject="", name=asked.name, methods=(), at=now, ends_at=now)


def _refused(code: str, text: str) -> ArmError:
    return ArmError(code, text, status=403)


def _revoked() -> ArmError:
    return _refused("AccessRevoked", "The person's access was taken away. Whoever runs access here lets them in again.")
