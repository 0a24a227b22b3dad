"""Fault injection: throttling, outages, delays and broken connections, as rules over service, action, account and region."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["throttling", "expired", "internal", "unavailable", "denied"]

_BY_KIND: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "throttling": {
        "ec2": ("RequestLimitExceeded", 503),
        "s3": ("SlowDown", 503),
        "query": ("Throttling", 400),
        "json": ("ThrottlingException", 400),
    },
    "internal": {
        "ec2": ("InternalError", 500),
        "s3": ("InternalError", 500),
        "query": ("InternalFailure", 500),
        "json": ("InternalServerError", 500),
    },
    "unavailable": {"*": ("ServiceUnavailable", 503)},
    "expired": {"*": ("ExpiredTokenException", 403)},
    "denied": {"*": ("AccessDenied", 403)},
}
_QUERY = frozenset(
    {"autoscaling", "cloudformation", "elasticache", "elasticloadbalancing", "iam", "monitoring", "rds", "redshift", "ses", "sns", "sts"}
)


class FaultRule(BaseModel):
    """One rule as the admin path takes it. `service` is the signing name (`ec2`, `monitoring` …), `action` the IAM action name
    (`DescribeInstances`); both and `account` and `region` take `*` patterns. It fires `count` times (None: always) with `probability`.

    What it does: answer an error (`kind`, or `code` with `status`), wait `delay` seconds before that or before the true answer, or
    `drop` the connection in the middle of the answer.
    """

    model_config = ConfigDict(extra="forbid")

    service: str = "*"
    action: str = "*"
    account: str = "*"
    region: str = "*"
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    count: Annotated[int, Field(ge=1)] | None = None
    kind: Kind | None = None
    code: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 400
    message: str = "The lab was told to fail here."
    delay: Annotated[float, Field(ge=0, le=300)] = 0.0
    drop: bool = False

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        if not (self.kind or self.code or self.delay or self.drop):
            raise ValueError("A rule needs an effect: kind, code, delay or drop.")
        return self

    def error(self, service: str) -> tuple[str, int] | None:
        """(code, status) that the service would spell; None when the rule answers no error."""
        if self.code:
            return self.code, self.status
        if not self.kind:
            return None
        table = _BY_KIND[self.kind]
        family = service if service in ("ec2", "s3") else "query" if service in _QUERY else "json"
        return table.get(family) or table["*"]


@dataclass(slots=True)
class _Armed:
    rule: FaultRule
    left: int | None
    fired: int = 0


class Faults:
    """The rules in force, in order; the first that matches and fires decides."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._armed: list[_Armed] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule behind those in force."""
        self._armed.append(_Armed(rule, rule.count))

    def clear(self) -> None:
        """Remove all rules."""
        self._armed.clear()

    def listed(self) -> list[dict[str, object]]:
        """The rules with what is left of their counts and how often each fired."""
        return [{**armed.rule.model_dump(exclude_defaults=True), "left": armed.left, "fired": armed.fired} for armed in self._armed]

    def match(self, *, service: str, action: str, account: str, region: str) -> FaultRule | None:
        """The rule that strikes this request, if any; counts it down."""
        for armed in self._armed:
            rule = armed.rule
            wanted = ((rule.service, service), (rule.action, action), (rule.account, account), (rule.region, region))
            if armed.left == 0 or not all(fnmatchcase(value, pattern) for pattern, value in wanted):
                continue
            if rule.probability < 1 and self._chance.random() >= rule.probability:
                continue
            armed.fired += 1
            if armed.left is not None:
                armed.left -= 1
            return rule
        return None
