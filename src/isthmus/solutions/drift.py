"""Drift: whether the roles that stand in an account are those that the connector's template would make now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from isthmus.access.broker import BROKER
from isthmus.access.former import FORMER, settled, trusts
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws.names import is_person_role
from isthmus.clouds.aws.template import Difference, differences, expected_role
from isthmus.clouds.aws.template.directories import Directory
from isthmus.clouds.aws.template.federation import provider_arn
from isthmus.clouds.contract import Scanner, TrustCloud, Unreadable
from isthmus.engine import Engine, Lookup
from isthmus.solutions.access import TYPE
from isthmus.solutions.loop import Loop
from isthmus.solutions.subject import CONFIGURATIONS, target_of
from isthmus.solutions.templates import roles_wanted, template_request
from isthmus.work import Arguments, Job

COMPARE = "connector.compare-template"
IN_STEP, DRIFTED, NOT_DEPLOYED, UNREADABLE = "InStep", "Drifted", "NotDeployed", "Unreadable"
_MOST_DIFFERENCES = 100
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The job that reads the roles back and compares them. `issuer_url` is the issuer that templates name, `trust` reads whom the roles of
    people trust."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
    trust: TrustCloud
    loop: Loop
    issuer_url: str

    def job(self) -> Job:
        """The job behind `compareTemplate`: arguments `connector` (id) and `operation`."""
        return Job(name=COMPARE, queue="requests", run=self._compare, failed=self._failed, attempts=2)

    def _compare(self, arguments: Arguments) -> None:
        connector = self.lookup.find(arguments["connector"])
        if connector is None:
            gone = ArmError("ResourceNotFound", f"'{arguments['connector']}' was deleted in the meantime.", status=404)
            self.engine.finish(arguments["operation"], error=gone)
            return
        stored = list(self.lookup.all(types=[CONFIGURATIONS], parent=connector.id.key))
        chosen = {one.properties["solutionType"]: one.properties["solutionSettings"] for one in stored}
        results = [self._one(connector, chosen, kind) for kind in sorted(chosen)]
        for solution in stored:
            if solution.properties.get(FORMER):
                told = self._look_back(connector, solution)
                results = [{**one, "details": f"{one['details']} {told}"} if one["solutionType"] == TYPE else one for one in results]
        self.engine.finish(arguments["operation"], result={"solutionTypes": results})

    def _one(self, connector: Resource, chosen: Mapping[str, Mapping[str, str]], kind: str) -> dict[str, Any]:
        target = target_of(connector, kind)
        expected = expected_role(
            template_request(target.account, target.guid, chosen, self.issuer_url, roles_wanted(self.lookup, connector, chosen)), kind
        )
        try:
            found = self.loop.run(self.scanner.role(target))
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        except PermissionError as error:
            return _result(kind, expected.name, NOT_DEPLOYED, str(error))
        except Unreadable as error:
            lacks = f"The role may not look at itself: it lacks {error.action}. " if error.action else "The role could not be read. "
            return _result(kind, expected.name, UNREADABLE, lacks + str(error))
        drifted = differences(expected, found)
        if not drifted:
            return _result(kind, expected.name, IN_STEP, "The role is what the template makes of it now.")
        number = f"{len(drifted)} differences" if len(drifted) > 1 else "One difference"
        return _result(kind, expected.name, DRIFTED, f"{number}. Update the stack from the present template to remove them.", drifted)

    def _look_back(self, connector: Resource, solution: Resource) -> str:
        """Whether the roles of people still trust a former federation; what to say of it. What is gone counts for one session more."""
        target = target_of(connector, TYPE)
        try:
            documents = self.loop.run(self.trust.trusts(target))
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        except PermissionError as error:
            return f"Whether its roles still trust a former federation could not be read: {error}"[:_LONGEST]
        own = [document for name, document in documents.items() if is_person_role(name, target.guid)]
        now = self.engine.now()

        def is_gone(directory: Directory) -> bool:
            provider = provider_arn(directory, target.account, target.guid, target.partition)
            return not any(trusts(document, directory, provider) for document in own)

        def decide(old: Resource | None) -> Change:
            former = settled(old.properties, is_gone, now) if old is not None else []
            if old is None or former == old.properties.get(FORMER, []):
                return Change()
            kept = {name: value for name, value in old.properties.items() if name != FORMER}
            return Change(puts=(replace(old, properties={**kept, **({FORMER: former} if former else {})}),))

        _, made = self.engine.write(solution.id, decide, BROKER, f"{CONFIGURATIONS}/formerFederations")
        still = [one for one in (made.properties.get(FORMER) or () if made else ()) if one["until"] is None]
        if still:
            return "Its roles still trust a former federation, by which leavers are denied meanwhile. Update the stack, then compare again."
        return "No role of people trusts a former federation any more; leavers are denied by it for an hour more, while sessions last."

    def _failed(self, arguments: Arguments, error: ArmError) -> None:
        self.engine.finish(arguments["operation"], error=error)


def _result(kind: str, role: str, status: str, details: str, drifted: Sequence[Difference] = ()) -> dict[str, Any]:
    return {
        "solutionType": kind,
        "role": role,
        "status": status,
        "details": details[:_LONGEST],
        "differences": [
            {"what": one.what[:_LONGEST], "kind": one.kind, "detail": one.detail[:_LONGEST]} for one in drifted[:_MOST_DIFFERENCES]
        ],
    }
