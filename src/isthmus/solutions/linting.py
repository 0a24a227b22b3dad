"""Linting trust: whom an account lets in, read when somebody asks and judged by the cloud's rules. Nothing is kept but the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from isthmus.arm.errors import ArmError, unavailable
from isthmus.clouds.contract import TrustCloud, TrustReport
from isthmus.engine import Engine, Lookup
from isthmus.solutions import subject
from isthmus.solutions.loop import Loop
from isthmus.work import Arguments, Job

LINT: Final = "access.lint"
MOST: Final = 1_000
"""Findings that an answer holds; the worst come first, and the answer says how many there are."""
_LONGEST = 1_000


@dataclass(frozen=True, kw_only=True)
class Linting:
    """The job behind `lint`."""

    engine: Engine
    lookup: Lookup
    cloud: TrustCloud
    loop: Loop

    def job(self) -> Job:
        """Arguments `solution` (id) and `operation`."""
        return Job(name=LINT, queue="requests", run=self.lint, failed=self.failed, attempts=2)

    def lint(self, arguments: Arguments) -> None:
        """Read and judge, then end the operation. An account that does not answer is tried again."""
        found = subject.load(self.lookup, arguments["solution"])
        if found is None:
            gone = ArmError("SolutionConfigurationNotFound", f"'{arguments['solution']}' was deleted in the meantime.", status=404)
            self.engine.finish(arguments["operation"], error=gone)
            return
        try:
            report = self.loop.run(self.cloud.lint(found.target))
        except PermissionError as error:
            refused = ArmError("AuthorizationPending", str(error), status=409, target=str(found.connector.id))
            self.engine.finish(arguments["operation"], error=refused)
            return
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        self.engine.finish(arguments["operation"], result=shown(found.target.account, report))

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """Whoever waits is told."""
        self.engine.finish(arguments["operation"], error=error)


def shown(account: str, report: TrustReport) -> Mapping[str, Any]:
    """A report as the operation answers it."""
    counts = Counter(one.severity for one in report.findings)
    return {
        "accountId": account,
        "lookedAt": dict(report.looked_at),
        "counts": {severity: counts[severity] for severity in ("Error", "Warning", "Note")},
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity,
                "resource": one.resource,
                "details": one.told[:_LONGEST],
                "remedy": one.remedy,
            }
            for one in report.findings[:MOST]
        ],
        "notRead": [{"part": one.part, "reason": one.reason[:_LONGEST], "action": one.action} for one in report.blind],
    }
