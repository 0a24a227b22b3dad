"""Actions of an access solution about its federation: what to set up at the directory, and the certificates that it signs with.

A certificate lets whoever holds its key be anybody in every role, so only owners bring or retire one, as they alone give people roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from isthmus.access.federation import AUDIENCE, CLIENT, FEDERATION, ISSUER, METADATA, directory_of, unfit_in
from isthmus.access.instructions import instructions
from isthmus.access.mappings import BROKER, ROLE_MAPPINGS, access_target, mapping_of
from isthmus.access.rights import OWNING
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, conflict
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Action, Answer, Ask
from isthmus.clouds.aws.metadata import LEAST, MOST, joined, without
from isthmus.clouds.aws.template.directories import SAML, Directory
from isthmus.engine import Lookup
from isthmus.providers.bodies import Body, read
from isthmus.solutions.access import TYPE
from isthmus.solutions.certificates import refused
from isthmus.solutions.contract import SolutionType

CLAIMS_PATH = "/identity/claims"
"""Where Entra asks for claims, followed by the connector's GUID."""


class Looking(Body):
    """Body of `federationSteps`: another mode than the present one, to look at before it is chosen."""

    federation: Literal["broker", "oidc", "saml", "claims"] | None = None


class Coming(Body):
    """Body of `addCertificate`: metadata with the next certificate."""

    metadata: Annotated[str, Field(min_length=LEAST, max_length=MOST)]


class Retiring(Body):
    """Body of `retireCertificate`: SHA-256 of the certificate, hexadecimal."""

    fingerprint: Annotated[str, Field(min_length=1, max_length=95)]


class Configure(Protocol):
    """Makes a changed solution of settings, with everything that is checked then."""

    def __call__(
        self, old: Resource | None, id: ResourceId, connector: Resource, kind: SolutionType, settings: Mapping[str, Any], ask: Ask, /
    ) -> Change:
        """The change."""
        ...


@dataclass(frozen=True, kw_only=True)
class Federation:
    """The actions. `configured` is how settings are changed."""

    lookup: Lookup
    configured: Configure
    kind: SolutionType

    def actions(self) -> tuple[Action, ...]:
        """One that reads, two that change."""
        return (
            Action(name="federationSteps", act=self._steps, reads=True),
            Action(name="addCertificate", act=self._add),
            Action(name="retireCertificate", act=self._retire),
        )

    def _steps(self, resource: Resource | None, ask: Ask) -> Answer:
        solution, connector = _access(resource, ask)
        settings = solution.properties["solutionSettings"]
        present = settings.get(FEDERATION, BROKER)
        mode = read(Looking, ask.body or {}).federation or present
        directory = directory_of(settings) if mode == present else None
        found = list(self.lookup.all(types=[ROLE_MAPPINGS], parent=connector.id.key))
        mappings = [mapping_of(one, connector) for one in found]
        target = access_target(connector)
        url = f"{ask.base_url}{CLAIMS_PATH}/{target.guid}"
        told = instructions(mode, directory, target, mappings, url, connector.id.name)
        return Answer(body={**told, "unfit": [] if mode == BROKER else _unfit(mode, directory, found)})

    def _add(self, resource: Resource | None, ask: Ask) -> Answer:
        coming = read(Coming, ask.body).metadata
        return self._changed(resource, ask, lambda present: joined(present, coming))

    def _retire(self, resource: Resource | None, ask: Ask) -> Answer:
        fingerprint = read(Retiring, ask.body).fingerprint
        return self._changed(resource, ask, lambda present: without(present, fingerprint))

    def _changed(self, resource: Resource | None, ask: Ask, change: Any) -> Answer:
        solution, connector = _access(resource, ask)
        settings = solution.properties["solutionSettings"]
        if settings.get(FEDERATION, BROKER) != SAML:
            text = f"The federation of '{connector.id.name}' is {settings.get(FEDERATION, BROKER)}; certificates belong to saml."
            raise conflict(text, code="NotInThisFederation", target=str(solution.id))
        try:
            metadata = change(settings[METADATA])
        except ValueError as error:
            raise refused(error) from error
        made = self.configured(solution, solution.id, connector, self.kind, {**settings, METADATA: metadata}, ask)
        return Answer(change=made, body={"federation": made.puts[0].properties["federation"]})


def require_owner(solution: Resource | None, new: Mapping[str, str], ask: Ask, connector: Resource, *, is_first: bool) -> None:
    """Who may not give people roles may not say who vouches for people either. ArmError 403. A solution that comes to role mappings which
    are there already says so whatever it says; `is_first` where there are none."""
    old = solution.properties["solutionSettings"] if solution else {}
    changed = [name for name in (FEDERATION, ISSUER, CLIENT, AUDIENCE, METADATA) if new.get(name, "") != old.get(name, _DEFAULTS[name])]
    if solution is None and not is_first:
        changed = changed or [FEDERATION]
    if changed and not ask.permits(OWNING, str(connector.id)):
        text = f"Only an owner of the connector says who vouches for people in its account ({', '.join(changed)})."
        raise ArmError("AuthorizationFailed", text, status=403, target=f"properties.solutionSettings.{changed[0]}")


def check_removal(solution: Resource, mappings: Sequence[Resource], ask: Ask) -> None:
    """Whether a configuration may be deleted. An access solution says who vouches for people, so its end is for who may say that: it would
    begin anew with the broker. ArmError 403; 409 `RolesStillMapped` while people are given roles by it."""
    connector = solution.id.parent
    if solution.properties["solutionType"] != TYPE or connector is None:
        return
    if not ask.permits(OWNING, str(connector)):
        text = f"Only an owner of the connector ends {TYPE}, which says who vouches for people in its account."
        raise ArmError("AuthorizationFailed", text, status=403, target=str(solution.id))
    if mappings:
        names = ", ".join(f"'{one.id.name}'" for one in mappings[:5]) + (", …" if len(mappings) > 5 else "")
        text = (
            f"{TYPE} still gives people roles: {names}. Delete these role mappings first (isthmus mapping delete), so that what is held by "
            "them ends; or delete the connector with everything."
        )
        raise conflict(text, code="RolesStillMapped", target=str(solution.id))


def _unfit(mode: str, directory: Directory | None, mappings: Sequence[Resource]) -> list[dict[str, str]]:
    """What of the mappings the mode could not keep: choosing it is refused until they are changed."""
    tells = directory.tells_methods if directory else False
    return [
        {"mapping": one.id.name, "property": str(error.target).removeprefix("properties."), "details": error.message}
        for one in mappings
        for error in unfit_in(mode, one.properties, tells_methods=tells)
    ]


_DEFAULTS = {FEDERATION: BROKER, ISSUER: "", CLIENT: "", AUDIENCE: "", METADATA: ""}


def _access(resource: Resource | None, ask: Ask) -> tuple[Resource, Resource]:
    assert resource is not None
    if ask.parent is None or resource.properties["solutionType"] != TYPE:
        text = f"'{resource.id.name}' is a solution of the type {resource.properties['solutionType']}; federation is of {TYPE}."
        raise conflict(text, code="AccessNotConfigured", target=str(resource.id))
    return resource, ask.parent
