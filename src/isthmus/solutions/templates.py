"""From a connector and its solutions' settings to what clouds are asked for: no wider than what the solutions will use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.access.federation import directory_of
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import conflict
from isthmus.clouds.aws.template import AccessAsk, InventoryAsk, OnboardingAsk, PersonRole, TemplateRequest, authentication_template
from isthmus.clouds.contract import Selection
from isthmus.engine import Lookup
from isthmus.solutions import access, inventory, onboarding
from isthmus.solutions.onboard.observing import regions_wanted


def template_request(
    account: str, guid: str, chosen: Mapping[str, Mapping[str, str]], issuer_url: str, roles: Sequence[PersonRole] = ()
) -> TemplateRequest:
    """What the template builder needs of a connector (or one to come), its solutions' complete settings, by solution type, and the roles
    that its mappings give to people.

    Raises ArmError 409 `TemplateNotPossible`.
    """
    asset, onboard = chosen.get(inventory.TYPE), chosen.get(onboarding.TYPE)
    people = chosen.get(access.TYPE)
    picked = inventory.selection(asset).services if asset is not None else None
    try:
        return TemplateRequest(
            account=account,
            guid=guid,
            issuer_url=issuer_url,
            inventory=None
            if asset is None
            else InventoryAsk(services=None if picked is None else tuple(picked), global_read_only=asset["awsGlobalReadOnly"] == "true"),
            onboarding=None
            if onboard is None
            else OnboardingAsk(regions=regions_wanted(onboard), filter_tag=onboard["arcOnboardEc2FilterTag"]),
            access=None if people is None else _people(people, roles),
        )
    except ValueError as error:
        raise conflict(f"The template cannot be made: {error}", code="TemplateNotPossible") from error


def _people(settings: Mapping[str, str], roles: Sequence[PersonRole]) -> AccessAsk:
    return AccessAsk(
        roles=tuple(roles),
        directory=directory_of(settings),
        trail_bucket=settings.get("trailBucket", ""),
        trail_prefix=settings.get("trailPrefix", ""),
    )


def roles_wanted(lookup: Lookup, connector: Resource, chosen: Mapping[str, Mapping[str, str]]) -> tuple[PersonRole, ...]:
    """The roles that a connector's mappings ask for, as they are under the chosen settings."""
    is_direct = access.TYPE in chosen and directory_of(chosen[access.TYPE]) is not None
    return access.person_roles(lookup, connector, is_direct=is_direct)


def made_template(request: TemplateRequest) -> dict[str, Any]:
    """The template of a request. Raises ArmError 409 `TemplateNotPossible` when it is larger than AWS takes."""
    try:
        return authentication_template(request)
    except ValueError as error:
        raise conflict(f"The template cannot be made: {error}", code="TemplateNotPossible") from error


def selection(solution: str, settings: Mapping[str, str]) -> Selection:
    """What a solution works on by its complete settings."""
    if solution == access.TYPE:
        return Selection()
    return Selection(regions=regions_wanted(settings)) if solution == onboarding.TYPE else inventory.selection(settings)
