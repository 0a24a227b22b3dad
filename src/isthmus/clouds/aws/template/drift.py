"""Drift: where a role in the account differs from the one that the template of today would make. Pure.

Documents are compared by what they mean, statement by statement: order, a single value instead of a list of one, letter case of actions
and condition keys, and an account written as a number or as its root make no difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.access import SERVICE_ROLE
from isthmus.clouds.aws.template.build import authentication_template
from isthmus.clouds.aws.template.request import TemplateRequest
from isthmus.clouds.contract import DeployedRole

LOGICAL: Mapping[str, str] = {names.INVENTORY: "InventoryRole", names.ONBOARDING: "OnboardingRole", names.ACCESS: SERVICE_ROLE}
"""The logical id in the template of the role that a solution assumes."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_PARTS: Final = (
    ("Effect", "effect"),
    ("Principal", "principals"),
    ("NotPrincipal", "excepted principals"),
    ("Action", "actions"),
    ("NotAction", "excepted actions"),
    ("Resource", "resources"),
    ("NotResource", "excepted resources"),
    ("Condition", "conditions"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One difference: `missing` is expected and not there, `extra` is there and not expected, `changed` is both, said in `detail`."""

    what: str
    kind: Literal["missing", "extra", "changed"]
    detail: str


def expected_role(request: TemplateRequest, solution: str) -> DeployedRole:
    """The role of a solution as the template makes it. KeyError when the request does not have the solution."""
    made = authentication_template(request)["Resources"][LOGICAL[solution]]["Properties"]
    return DeployedRole(
        name=made["RoleName"],
        trust=_resolved(made["AssumeRolePolicyDocument"], request.provider_arn),
        policies={policy["PolicyName"]: policy["PolicyDocument"] for policy in made["Policies"]},
        managed=tuple(made.get("ManagedPolicyArns", ())),
    )


def differences(expected: DeployedRole, found: DeployedRole) -> tuple[Difference, ...]:
    """Every difference: trust first, then managed policies, inline policies by name, and a permissions boundary."""
    return (
        *_statements("trust", expected.trust, found.trust),
        *_managed(expected, found),
        *(one for name in sorted({*expected.policies, *found.policies}) for one in _policy(name, expected, found)),
        *_boundary(expected, found),
    )


def _resolved(value: Any, provider: str) -> Any:
    """The trust with its one intrinsic function in place: either branch names the provider of our issuer."""
    if isinstance(value, dict):
        return provider if "Fn::If" in value else {key: _resolved(inner, provider) for key, inner in value.items()}
    return [_resolved(inner, provider) for inner in value] if isinstance(value, list) else value


def _managed(expected: DeployedRole, found: DeployedRole) -> Iterator[Difference]:
    for arn in sorted({*expected.managed} - {*found.managed}):
        yield Difference(what=f"managed policy {arn}", kind="missing", detail="The template attaches this policy; the role has it no more.")
    for arn in sorted({*found.managed} - {*expected.managed}):
        yield Difference(what=f"managed policy {arn}", kind="extra", detail="Somebody attached this policy; the template does not.")


def _boundary(expected: DeployedRole, found: DeployedRole) -> Iterator[Difference]:
    if found.boundary != expected.boundary:
        detail = f"Somebody set {found.boundary}: whatever it does not allow, the role cannot do."
        yield Difference(what="permissions boundary", kind="extra", detail=detail)


def _policy(name: str, expected: DeployedRole, found: DeployedRole) -> Iterator[Difference]:
    what = f"policy {name}"
    if name not in found.policies:
        yield Difference(what=what, kind="missing", detail="The template makes this inline policy; the role has it no more.")
    elif name not in expected.policies:
        yield Difference(what=what, kind="extra", detail="Somebody added this inline policy; the template does not.")
    else:
        yield from _statements(what, expected.policies[name], found.policies[name])


def _statements(what: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    if expected.get("Version") != found.get("Version"):
        detail = f"The policy language is {found.get('Version')}, not {expected.get('Version')}."
        yield Difference(what=f"{what}, version", kind="changed", detail=detail)
    wanted, there = _by_name(expected), _by_name(found)
    for name in wanted:
        label = f"{what}, statement {name}"
        if name not in there:
            yield Difference(what=label, kind="missing", detail=f"Not there: {_said(wanted[name])}.")
        elif wanted[name] != there[name]:
            yield Difference(what=label, kind="changed", detail=_changes(wanted[name], there[name]))
    for name in there:
        if name not in wanted:
            yield Difference(what=f"{what}, statement {name}", kind="extra", detail=f"Not of the template: {_said(there[name])}.")


Plain = Mapping[str, Sequence[str]]


def _by_name(document: Mapping[str, Any]) -> dict[str, Plain]:
    """Statements by their Sid, or by their number where they have none."""
    listed = document.get("Statement") or []
    rows = [row for row in (listed if isinstance(listed, list) else [listed]) if isinstance(row, dict)]
    return {str(row.get("Sid") or number): _plain(row) for number, row in enumerate(rows, start=1)}


def _plain(statement: Mapping[str, Any]) -> Plain:
    """Each part of a statement as a sorted list of texts."""
    found: dict[str, Sequence[str]] = {}
    for part, _ in _PARTS:
        if part not in statement:
            continue
        value = statement[part]
        if part in ("Principal", "NotPrincipal"):
            found[part] = sorted(_principals(value))
        elif part == "Condition":
            found[part] = sorted(_conditions(value))
        else:
            texts = [str(one) for one in _list(value)]
            found[part] = sorted({text.lower() for text in texts} if part in ("Action", "NotAction") else {*texts})
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _principals(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "AWS *" if value == "*" else str(value)
        return
    for kind, named in value.items():
        for one in _list(named):
            yield f"{kind} {f'arn:aws:iam::{one}:root' if kind == 'AWS' and _ACCOUNT.fullmatch(str(one)) else one}"


def _conditions(value: Any) -> Iterator[str]:
    for operator, keys in value.items() if isinstance(value, dict) else ():
        for key, wanted in keys.items() if isinstance(keys, dict) else ():
            yield f"{operator} {str(key).lower()} = {', '.join(sorted(_text(one) for one in _list(wanted)))}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _said(statement: Plain) -> str:
    return "; ".join(f"{label} {', '.join(statement[part])}" for part, label in _PARTS if part in statement)


def _changes(expected: Plain, found: Plain) -> str:
    parts = []
    for part, label in _PARTS:
        wanted, there = expected.get(part, ()), found.get(part, ())
        missing, extra = [one for one in wanted if one not in there], [one for one in there if one not in wanted]
        parts += [f"{label} missing: {', '.join(missing)}"] if missing else []
        parts += [f"{label} added: {', '.join(extra)}"] if extra else []
    return "; ".join(parts)
