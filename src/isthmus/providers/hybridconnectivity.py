"""Microsoft.HybridConnectivity: public cloud connectors, their solution configurations, solution types and the authentication template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.access.federation import solution_key
from isthmus.access.former import FORMER, remembered, shown
from isthmus.access.mappings import ROLE_MAPPINGS
from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.arm.types import Action, Answer, Ask, ResourceType, Scope
from isthmus.clouds.aws.template import TemplateRequest
from isthmus.engine import Lookup
from isthmus.providers.bodies import Body, read
from isthmus.providers.connectors import (
    NAME,
    NAME_TOLD,
    WITH_KIND,
    compare_template,
    immutable,
    lint_trust,
    patch_connector,
    put_connector,
    show_connector,
    test_permissions,
)
from isthmus.providers.explanation import explain
from isthmus.providers.federation import Federation, check_removal, require_owner
from isthmus.providers.locations import CONNECTOR_LOCATIONS
from isthmus.providers.removal import REMOVAL, unless_leaving
from isthmus.solutions.access import TYPE as ACCESS
from isthmus.solutions.access import check_mappings
from isthmus.solutions.certificates import check_change, standing
from isthmus.solutions.connectors import sync_order
from isthmus.solutions.contract import SolutionType
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS, PENDING
from isthmus.solutions.templates import made_template, roles_wanted, template_request

NAMESPACE = "Microsoft.HybridConnectivity"
VERSIONS = ("2027-01-01", "2025-12-01-preview", "2024-12-01", "2024-08-01-preview", "2023-12-01-preview")


class SolutionProperties(Body):
    """`properties` of a solution configuration."""

    solutionType: str | None = None
    solutionSettings: dict[str, Any] | None = None


class Solution(Body):
    """A solution configuration as it is put or patched."""

    properties: SolutionProperties


class TemplateSolution(Body):
    """One entry of `solutionTypes` in a template request."""

    solutionType: str
    solutionSettings: dict[str, Any] | None = None


class ExplainAsk(Body):
    """The body of `explainTemplate`: solutions, where they are not those that the connector has."""

    solutionTypes: list[TemplateSolution] | None = None


class TemplateAsk(ExplainAsk):
    """The body of `generateAwsTemplate`."""

    connectorId: str


@dataclass(frozen=True, kw_only=True)
class HybridConnectivity:
    """The rows of this namespace. `issuer_url` stands in templates; `ledger` lists a solution's per-instance inventory; `template_url` is
    where templates lie for CloudFormation's console, empty when nowhere."""

    lookup: Lookup
    solutions: Mapping[str, SolutionType]
    issuer_url: str
    ledger: Callable[[str], Iterable[Mapping[str, Any]]]
    template_url: str = ""

    def rows(self) -> tuple[ResourceType, ...]:
        """Every type of the namespace."""
        return (self._connectors(), self._configurations(), self._inventory(), self._solution_types(), self._template())

    def _connectors(self) -> ResourceType:
        return ResourceType(
            name=CONNECTORS,
            echo=CONNECTORS.lower(),
            scopes=frozenset({Scope.GROUP}),
            lists=frozenset({Scope.GROUP, Scope.SUBSCRIPTION}),
            versions=VERSIONS,
            name_pattern=NAME,
            name_told=NAME_TOLD,
            tracked=True,
            capabilities="SupportsTags, SupportsLocation",
            locations=CONNECTOR_LOCATIONS,
            put=unless_leaving(put_connector),
            patch=unless_leaving(patch_connector),
            delete=unless_leaving(lambda old, ask: Change(deletes=(ask.id,))),
            show=show_connector,
            created=200,
            actions=(
                Action(name="testPermissions", act=test_permissions),
                Action(name="compareTemplate", act=compare_template),
                Action(name="explainTemplate", act=self._explain, reads=True),
                REMOVAL,
            ),
        )

    def _configurations(self) -> ResourceType:
        return ResourceType(
            name=CONFIGURATIONS,
            echo=CONFIGURATIONS.lower(),
            scopes=frozenset({Scope.EXTENSION}),
            lists=frozenset({Scope.EXTENSION}),
            extends=(CONNECTORS,),
            versions=VERSIONS,
            name_pattern=NAME,
            name_told=NAME_TOLD,
            capabilities="SupportsExtension",
            locations=CONNECTOR_LOCATIONS,
            put=unless_leaving(self._put_solution),
            patch=unless_leaving(self._patch_solution),
            delete=self._delete_solution,
            show=show_solution,
            created=200,
            actions=(Action(name="syncNow", act=self._sync_now), Action(name="lint", act=lint_trust), *self._federation()),
        )

    def _federation(self) -> tuple[Action, ...]:
        return (
            Federation(lookup=self.lookup, configured=self.configured, kind=self.solutions[ACCESS]).actions()
            if ACCESS in self.solutions
            else ()
        )

    def _put_solution(self, old: Resource | None, ask: Ask) -> Change:
        asked = read(Solution, ask.body).properties
        if not asked.solutionType:
            raise invalid("properties.solutionType is required.", target="properties.solutionType")
        return self._write_solution(old, ask, self._type(asked.solutionType), asked.solutionSettings or {})

    def _patch_solution(self, old: Resource | None, ask: Ask) -> Change:
        assert old is not None
        asked = read(Solution, ask.body).properties
        kind = self._type(asked.solutionType or old.properties["solutionType"])
        return self._write_solution(old, ask, kind, {**old.properties["solutionSettings"], **(asked.solutionSettings or {})})

    def _delete_solution(self, old: Resource | None, ask: Ask) -> Change:
        if old is not None and old.id.parent is not None:
            check_removal(old, self._mappings(old.id.parent), ask)
        return Change(deletes=(ask.id,))

    def _mappings(self, connector: ResourceId) -> list[Resource]:
        return list(self.lookup.all(types=[ROLE_MAPPINGS], parent=connector.key))

    def _write_solution(self, old: Resource | None, ask: Ask, kind: SolutionType, settings: Mapping[str, Any]) -> Change:
        """Create or change: settings completed and checked, one configuration of a type per connector, and a sync."""
        connector = ask.parent
        assert connector is not None
        if old is not None and old.properties["solutionType"] != kind.id:
            raise immutable("properties.solutionType", old.properties["solutionType"], kind.id)
        return self.configured(old, old.id if old else ask.id, connector, kind, settings, ask)

    def configured(
        self,
        old: Resource | None,
        id: ResourceId,
        connector: Resource,
        kind: SolutionType,
        settings: Mapping[str, Any],
        ask: Ask,
    ) -> Change:
        """A solution of a connector, with its next sync. Raises ArmError 400 for settings that are wrong, or that a role mapping of the
        connector cannot be kept under."""
        complete = kind.complete(settings)
        if kind.id == ACCESS:
            check_mappings(self.lookup, connector, complete)
            require_owner(old, complete, ask, connector, is_first=not self._mappings(connector.id))
            check_change(old.properties["solutionSettings"] if old else {}, complete, ask.now)
        account = connector.properties["awsCloudProfile"]["accountId"]
        fresh = {
            "status": PENDING,
            "statusDetails": f"Aws authorization validation pending in Aws account {account}",
            "solutionId": ask.new_guid(),
        }
        stands = standing(complete, None, ask.now) if kind.id == ACCESS else None
        kept = {name: value for name, value in (old.properties if old else fresh).items() if name not in ("federation", FORMER)}
        former = remembered(old.properties, complete, ask.now) if kind.id == ACCESS and old is not None else []
        made = Resource(
            id=id,
            properties={
                **kept,
                **({"federation": stands} if stands is not None else {}),
                **({FORMER: former} if former else {}),
                "solutionType": kind.id,
                "solutionSettings": complete,
                "provisioningState": "Succeeded",
            },
            unique=solution_key(connector.properties["connectorPrimaryIdentifier"], kind.id),
        )
        return Change(puts=(made,), jobs=(sync_order(made, kind.sync_job, ask.new_guid()),))

    def _type(self, id: str) -> SolutionType:
        found = next((kind for kind in self.solutions.values() if kind.id.lower() == id.lower()), None)
        if found is None:
            known = ", ".join(self.solutions)
            raise invalid(
                f"'{id[:100]}' is not a solution type. Known are: {known}.", target="properties.solutionType", code="InvalidSolutionType"
            )
        return found

    def _sync_now(self, resource: Resource | None, ask: Ask) -> Answer:
        assert resource is not None
        body = ask.body if isinstance(ask.body, dict) else {}
        operation = ask.new_guid()
        kind = self._type(resource.properties["solutionType"])
        order = sync_order(resource, kind.sync_job, operation, operation=operation, confirm=body.get("confirmDeletions") is True)
        opened = OperationOrder(id=operation, resource=resource.id, kind="sync", location=ask.parent.location if ask.parent else "global")
        return Answer(change=Change(operation=opened, jobs=(order,)), style="both")

    def _inventory(self) -> ResourceType:
        def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
            parent = ask.id.parent
            assert parent is not None
            return self.ledger(str(parent))

        def one(ask: Ask) -> Mapping[str, Any] | None:
            parent = ask.id.parent
            assert parent is not None
            return next((item for item in self.ledger(str(parent)) if item["name"].lower() == ask.id.name.lower()), None)

        return ResourceType(
            name=f"{CONFIGURATIONS}/inventory",
            scopes=frozenset({Scope.EXTENSION}),
            lists=frozenset({Scope.EXTENSION}),
            versions=VERSIONS,
            enumerate=listed,
            read=one,
        )

    def _solution_types(self) -> ResourceType:
        def body(kind: SolutionType, version: str) -> Mapping[str, Any]:
            hosts = {"hostTypes": ["AWS"]} if version >= WITH_KIND else {}
            return {
                "name": kind.id,
                "properties": {
                    "solutionType": kind.id,
                    "description": kind.description,
                    "supportedAzureRegions": list(kind.locations),
                    **hosts,
                    "solutionSettings": [{**setting.body(), **hosts} for setting in kind.settings],
                },
            }

        def listed(ask: Ask) -> Iterable[Mapping[str, Any]]:
            return (body(kind, ask.version) for kind in sorted(self.solutions.values(), key=lambda kind: kind.id.lower()))

        def one(ask: Ask) -> Mapping[str, Any] | None:
            found = (body(kind, ask.version) for kind in self.solutions.values() if kind.id.lower() == ask.id.name.lower())
            return next(found, None)

        anywhere = frozenset({Scope.GROUP, Scope.SUBSCRIPTION})
        return ResourceType(
            name=f"{NAMESPACE}/solutionTypes", scopes=anywhere, lists=anywhere, versions=VERSIONS, enumerate=listed, read=one
        )

    def _template(self) -> ResourceType:
        action = Action(name="generateAwsTemplate", act=self._generate, needs_resource=False)
        return ResourceType(
            name=f"{NAMESPACE}/generateAwsTemplate",
            scopes=frozenset({Scope.SUBSCRIPTION}),
            versions=VERSIONS,
            locations=("global",),
            actions=(action,),
        )

    def _generate(self, _resource: Resource | None, ask: Ask) -> Answer:
        asked = read(TemplateAsk, ask.body)
        request = self._request(self._named_connector(asked.connectorId, ask), asked.solutionTypes)
        return Answer(body=made_template(request))

    def _explain(self, resource: Resource | None, ask: Ask) -> Answer:
        assert resource is not None
        asked = read(ExplainAsk, ask.body or {})
        return Answer(body=explain(self._request(resource, asked.solutionTypes), self.template_url))

    def _request(self, connector: Resource, named: list[TemplateSolution] | None) -> TemplateRequest:
        """What the template is asked for: the named solutions, or those that the connector has."""
        if named is not None:
            chosen = {
                self._type(entry.solutionType).id: self._type(entry.solutionType).complete(entry.solutionSettings or {}) for entry in named
            }
        else:
            stored = self.lookup.all(types=[CONFIGURATIONS], parent=connector.id.key)
            chosen = {solution.properties["solutionType"]: solution.properties["solutionSettings"] for solution in stored}
        if not chosen:
            raise invalid(
                f"Connector '{connector.id.name}' has no solution, so its template would allow nothing. Name solutionTypes or add one.",
                target="solutionTypes",
                code="NoSolutionConfigured",
            )
        properties = connector.properties
        account, guid = properties["awsCloudProfile"]["accountId"], properties["connectorPrimaryIdentifier"]
        if ACCESS in chosen:
            check_mappings(self.lookup, connector, chosen[ACCESS])
        return template_request(account, guid, chosen, self.issuer_url, roles_wanted(self.lookup, connector, chosen))

    def _named_connector(self, given: str, ask: Ask) -> Resource:
        """By full id, as every real client sends it, or by name within the subscription."""
        if given.startswith("/"):
            found = self.lookup.find(parse_resource(given))
        else:
            page = self.lookup.page(types=[CONNECTORS], subscription=ask.id.subscription, name=given, limit=2).items
            found = page[0] if len(page) == 1 else None
        if found is None or found.id.type.lower() != CONNECTORS.lower() or not ask.permits(f"{CONNECTORS}/read", str(found.id)):
            raise ArmError(
                "ResourceNotFound", f"There is no connector '{given[:200]}' (name its full id).", status=404, target="connectorId"
            )
        return found


def show_solution(resource: Resource, _version: str) -> Mapping[str, Any]:
    """Without our own number of the configuration, and of former federations what people have to know."""
    body = resource.body(type_name=CONFIGURATIONS.lower(), tracked=False)
    former = {FORMER: told} if (told := shown(resource.properties)) else {}
    body["properties"] = {name: value for name, value in body["properties"].items() if name not in ("solutionId", FORMER)} | former
    return body
