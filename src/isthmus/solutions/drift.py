"""Drift: whether the roles that stand in an account are those that the connector's template would make now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.aws.template import Difference, differences, expected_role
from isthmus.clouds.contract import Scanner, Unreadable
from isthmus.engine import Engine, Lookup
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
    """The job that reads the roles back and compares them. `issuer_url` is the issuer that templates name."""

    engine: Engine
    lookup: Lookup
    scanner: Scanner
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
        stored = self.lookup.all(types=[CONFIGURATIONS], parent=connector.id.key)
        chosen = {one.properties["solutionType"]: one.properties["solutionSettings"] for one in stored}
        results = [self._one(connector, chosen, kind) for kind in sorted(chosen)]
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
