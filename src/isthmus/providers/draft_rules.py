"""What is wrong with a draft: all at once, by the functions that judge connectors and their solutions, and by the wizard's own rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.arm.envelope import Resource, tags_of
from isthmus.arm.errors import ArmError, conflict, each_of, invalid, invalid_name
from isthmus.arm.ids import ResourceId, group_id
from isthmus.arm.types import Ask
from isthmus.clouds.aws.template import TemplateRequest
from isthmus.engine import Lookup
from isthmus.providers.connectors import NAME, NAME_TOLD, judge_connector, unique_of
from isthmus.providers.hybridconnectivity import HybridConnectivity
from isthmus.providers.resources import GROUP_NAME, GROUP_NAME_TOLD, GROUPS
from isthmus.solutions import inventory
from isthmus.solutions.arrivals import ARRIVED, CHOICES, account_of, chosen
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS
from isthmus.solutions.templates import made_template, template_request

JUDGED = ("basics", "solutions", "template", "tags")
GROUP_WRITE = f"{GROUPS}/write"

_REMEDIES: Mapping[str, str] = {
    "AuthorizationFailed": "Ask an owner for the role Contributor at that place.",
    "ConnectorExists": "Choose another name, or another resource group.",
    "DuplicateResource": "Delete the other connector first, or connect another account.",
    "GlobalReadRequired": "Switch Global read on, or choose the services that are to be read.",
    "InvalidLocation": "Choose one of the regions.",
    "InvalidSolutionSetting": "Choose among the values that the message names.",
    "InvalidTagNameCharacters": "Shorten the name, or leave out the characters that the message names.",
    "InvalidTagValue": "Shorten the value, or remove what cannot be printed.",
    "InvalidTags": "Remove the tags that are too many or given twice.",
    "LocationRequired": "Choose the region in which the connector is kept.",
    "NoSolutionChosen": "Choose one now, or add one to the connector later.",
    "OrganizationConnectorNotSupported": "Choose a single account.",
    "ResourceGroupBeingDeleted": "Wait for its end, or choose another resource group.",
    "StackNotArrived": "Deploy the template in the account; what was chosen begins by itself as soon as its role is there.",
    "TemplateNotPossible": "Choose fewer services, or Global read.",
    "ValueRequired": "Fill it in.",
}
_BY_TARGET: Mapping[str, str] = {
    "basics.accountId": "Enter the 12 digits that the AWS console shows in the menu of your account.",
    "basics.connectorName": "Use 3 to 63 letters, digits and hyphens.",
    "basics.resourceGroup": "Use up to 90 letters, digits, hyphens, underscores, dots and brackets; not a dot at the end.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing about a draft: an error stands in the way of creation, a warning does not. The error's target is a path in the draft."""

    error: ArmError
    severity: Literal["error", "warning"] = "error"

    @property
    def remedy(self) -> str:
        """What to do, one sentence."""
        by_code = _REMEDIES.get(self.error.code)
        return by_code or _BY_TARGET.get(self.error.target or "", "Correct the value as the message says.")

    def body(self) -> dict[str, str]:
        """The finding as `validate` answers it."""
        return {
            "code": self.error.code,
            "message": self.error.message,
            "target": self.error.target or "",
            "remedy": self.remedy,
            "severity": self.severity,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """All findings by step, and what is known of the resource group (None for what the caller may not know)."""

    steps: Mapping[str, list[Finding]] = field(default_factory=lambda: {step: [] for step in JUDGED})
    group: Mapping[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[ArmError, ...]:
        """What stands in the way of creation, each with its remedy in its message."""
        found = [one for step in JUDGED for one in self.steps[step] if one.severity == "error"]
        return tuple(
            ArmError(one.error.code, f"{one.error.message} {one.remedy}", status=one.error.status, target=one.error.target) for one in found
        )

    def body(self) -> dict[str, Any]:
        """The answer of `validate`."""
        steps = {step: [finding.body() for finding in self.steps[step]] for step in JUDGED}
        return {"steps": steps, "isReady": not self.errors, "resourceGroup": dict(self.group)}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Judges drafts against what exists."""

    lookup: Lookup
    connectivity: HybridConnectivity

    def judge(self, draft: Resource, ask: Ask) -> Judgement:
        """Everything about a draft. What the caller may not read stays unnamed."""
        properties = draft.properties
        group = self._group(draft, ask)
        steps = {
            "basics": [*self._basics(draft, ask), *self._place(draft, ask)],
            "solutions": list(self._solutions(properties)),
            "tags": [Finding(error=error) for error in judge_tags(properties.get("tags", {}), properties.get("repeatedTags", ()))],
        }
        is_complete = not any(finding.severity == "error" for finding in (*steps["solutions"], *steps["basics"]))
        return Judgement(steps=steps | {"template": list(self._template(draft)) if is_complete else []}, group=group)

    def template_request(self, draft: Resource) -> TemplateRequest:
        """What the template of a draft is asked for. Raises ArmError 400 with everything that stands in its way."""
        basics = _moved(judge_connector(None, connector_body(draft)), CONNECTOR_PATHS)
        problems = [error for error in basics if error.target == "basics.accountId"]
        problems += [one.error for one in self._solutions(draft.properties) if one.severity == "error"]
        if not chosen(draft.properties):
            problems.append(
                invalid("The draft has no solution, so its template would allow nothing.", target="solutions", code="NoSolutionChosen")
            )
        if problems:
            raise invalid("The template cannot be made yet; details say why.", target="template", code="DraftNotReady", details=problems)
        settings = {CHOICES[name]: self.kind(name).complete(given) for name, given in chosen(draft.properties).items()}
        guid = draft.properties["connectorPrimaryIdentifier"]
        return template_request(account_of(draft.properties), guid, settings, self.connectivity.issuer_url)

    def kind(self, name: str) -> SolutionType:
        """The solution type behind a draft's name for it."""
        return self.connectivity.solutions[CHOICES[name]]

    def _basics(self, draft: Resource, ask: Ask) -> Iterator[Finding]:
        basics = draft.properties.get("basics", {})
        for field_, pattern, kind, told in (
            ("resourceGroup", GROUP_NAME, GROUPS, GROUP_NAME_TOLD),
            ("connectorName", NAME, CONNECTORS, NAME_TOLD),
        ):
            given = str(basics.get(field_, ""))
            if not given:
                yield Finding(error=invalid(f"{field_} is missing.", target=f"basics.{field_}", code="ValueRequired"))
            elif not pattern.match(given):
                wrong = invalid_name(kind, given, pattern.pattern, told)
                yield Finding(error=invalid(wrong.message, target=f"basics.{field_}", code=wrong.code))
        for error in _moved(judge_connector(None, connector_body(draft)), CONNECTOR_PATHS):
            yield Finding(error=error)
        account = account_of(draft.properties)
        holder = self.lookup.holder(unique_of(account)) if account else None
        if holder is not None:
            is_known = ask.permits(f"{CONNECTORS}/read", str(holder.id))
            who = f"by '{holder.id}'" if is_known else "by a connector of this tenant that you may not read"
            text = f"Account {account} is connected already, {who}; an account has one connector."
            yield Finding(error=conflict(text, target="basics.accountId", code="DuplicateResource"))

    def _place(self, draft: Resource, ask: Ask) -> Iterator[Finding]:
        """The group and the name within it, as far as the caller may know of them."""
        place = place_of(draft)
        if place is None:
            return
        group, connector = place
        is_known = ask.permits(f"{GROUPS}/read", str(group))
        there = self.lookup.find(group) if is_known else None
        if there is not None and there.properties.get("provisioningState") == "Deleting":
            text = f"Resource group '{group.name}' is being deleted."
            yield Finding(error=conflict(text, target="basics.resourceGroup", code="ResourceGroupBeingDeleted"))
        if ask.permits(f"{CONNECTORS}/read", str(connector)) and self.lookup.find(connector) is not None:
            text = f"Resource group '{group.name}' has a connector '{connector.name}' already."
            yield Finding(error=conflict(text, target="basics.connectorName", code="ConnectorExists"))
        for action, scope in missing_rights(draft, ask, makes_group=is_known and there is None):
            error = ArmError("AuthorizationFailed", _may_not(action, scope), status=403, target="basics.resourceGroup")
            yield Finding(error=error, severity="warning")

    def _group(self, draft: Resource, ask: Ask) -> dict[str, Any]:
        place = place_of(draft)
        basics = draft.properties.get("basics", {})
        if place is None:
            return {"name": basics.get("resourceGroup", ""), "exists": None, "location": None}
        group, _ = place
        if not ask.permits(f"{GROUPS}/read", str(group)):
            return {"name": group.name, "exists": None, "location": None}
        there = self.lookup.find(group)
        location = there.location if there else basics.get("location", "").replace(" ", "").lower()
        return {"name": there.id.name if there else group.name, "exists": there is not None, "location": location}

    def _solutions(self, properties: Mapping[str, Any]) -> Iterator[Finding]:
        if not chosen(properties):
            text = "No solution is chosen: the connector will do nothing until one is added."
            yield Finding(error=invalid(text, target="solutions", code="NoSolutionChosen"), severity="warning")
        for name, given in chosen(properties).items():
            kind = self.kind(name)
            values, problems = kind.judge(given)
            for error in _moved(problems, {"properties.solutionSettings": f"solutions.{name}.settings"}):
                yield Finding(error=error)
            if CHOICES[name] == inventory.TYPE and not problems:
                settings = {setting.name: values.get(setting.name, setting.default) for setting in kind.settings}
                if inventory.selection(settings).services is None and settings["awsGlobalReadOnly"] != "true":
                    text = "All services, also those that come later, can only be read with Global read."
                    path = "solutions.inventory.settings.awsGlobalReadOnly"
                    yield Finding(error=invalid(text, target=path, code="GlobalReadRequired"))

    def _template(self, draft: Resource) -> Iterator[Finding]:
        names = chosen(draft.properties)
        if not names:
            return
        try:
            made_template(self.template_request(draft))
        except ArmError as error:
            yield Finding(error=ArmError(error.code, error.message, status=error.status, target="template"))
        arrivals = draft.properties.get("arrivals", {})
        missing = [CHOICES[name] for name in names if arrivals.get(CHOICES[name], {}).get("status") != ARRIVED]
        if missing:
            text = f"The stack has not arrived yet, as far as this server has seen: {', '.join(missing)}."
            yield Finding(error=conflict(text, target="template", code="StackNotArrived"), severity="warning")


CONNECTOR_PATHS: Mapping[str, str] = {"properties.awsCloudProfile": "basics", "location": "basics.location", "tags": "tags"}
"""Where the parts of a connector's body stand in a draft."""


def connector_body(draft: Resource) -> dict[str, Any]:
    """The body of the connector that a draft describes, without tags."""
    basics = draft.properties.get("basics", {})
    profile = {name: basics[name] for name in ("accountId", "isOrganizationalAccount", "excludedAccounts") if name in basics}
    return {"location": basics.get("location"), "properties": {"hostType": "AWS", "awsCloudProfile": profile}}


def place_of(draft: Resource) -> tuple[ResourceId, ResourceId] | None:
    """The ids of the group and of the connector; None while a name is missing or cannot be one."""
    basics = draft.properties.get("basics", {})
    group, name = str(basics.get("resourceGroup", "")), str(basics.get("connectorName", ""))
    if not GROUP_NAME.match(group) or not NAME.match(name):
        return None
    above = group_id(draft.id.subscription, group)
    return above, above.extension(CONNECTORS, name)


def missing_rights(draft: Resource, ask: Ask, *, makes_group: bool) -> list[tuple[str, str]]:
    """Actions with their scopes that creation needs and the caller may not do."""
    place = place_of(draft)
    if place is None:
        return []
    group, connector = place
    wanted = [(f"{CONNECTORS}/write", str(connector))]
    wanted += [(f"{CONFIGURATIONS}/write", str(connector))] if chosen(draft.properties) else []
    wanted += [(GROUP_WRITE, str(group))] if makes_group else []
    return [(action, scope) for action, scope in wanted if not ask.permits(action, scope)]


def refused(action: str, scope: str) -> ArmError:
    """403: creation needs a right that the caller does not have."""
    return ArmError("AuthorizationFailed", f"{_may_not(action, scope)} {_REMEDIES['AuthorizationFailed']}", status=403, target=scope)


def _may_not(action: str, scope: str) -> str:
    return f"You may not do '{action}' at '{scope}', which creation needs."


def judge_tags(given: Mapping[str, Any], repeated: Iterable[Mapping[str, str]] = ()) -> list[ArmError]:
    """Everything that is wrong with tags: each by itself, else all together. `repeated` have names that stand in `given` already."""
    problems = [
        invalid(f"The tag '{tag['name'][:64]}' is given twice.", target=f"tags.{tag['name'][:64]}", code="InvalidTags") for tag in repeated
    ]
    problems += [error for name, value in given.items() for error in _tag_problems({name: value}, f"tags.{name[:64]}")]
    return problems or _tag_problems(given, "tags")


def _tag_problems(given: Mapping[str, Any], target: str) -> list[ArmError]:
    try:
        tags_of(given)
    except ArmError as error:
        return [invalid(error.message, target=target, code=error.code)]
    return []


def _moved(problems: Iterable[ArmError], paths: Mapping[str, str]) -> Iterator[ArmError]:
    """Problems of a body that the API takes, with the paths of the draft."""
    for error in each_of(tuple(problems)):
        target = error.target or ""
        for before, after in paths.items():
            if target == before or target.startswith(f"{before}."):
                target = after + target.removeprefix(before)
                break
        yield ArmError(error.code, error.message, status=error.status, target=target)
