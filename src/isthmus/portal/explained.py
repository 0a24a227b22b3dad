"""The authentication template as pages explain it (`template_explained.html`): the same in the wizard and on the connector's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Actions on resources, why they are there, under which conditions, and whether a parameter of the stack asks for consent."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    besides: bool
    conditions: tuple[str, ...]
    reason: str
    consent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role of the template: who may take it and why, AWS's own policies, and the statements of ours. `is_ours`: this server takes it."""

    name: str
    description: str
    principal: str
    trust_reason: str
    trust_conditions: tuple[str, ...]
    managed: tuple[str, ...]
    statements: tuple[Statement, ...]
    is_ours: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter of the stack. `allowed` says what it accepts."""

    name: str
    default: str
    description: str
    allowed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """The template and everything that is said about it. `commands` are titles with texts."""

    text: str
    size: int
    roles: tuple[Role, ...]
    parameters: tuple[Parameter, ...]
    commands: tuple[tuple[str, str], ...]
    launch_url: str
    file_url: str


def explained_of(body: Mapping[str, Any], file_url: str) -> Explained:
    """What `explainTemplate` answered; `file_url` is where the template is downloaded."""
    return Explained(
        text=body["text"],
        size=body["bytes"],
        roles=tuple(_role(one) for one in body["roles"]),
        parameters=tuple(_parameter(one, body["template"]["Parameters"]) for one in body["parameters"]),
        commands=tuple((one["title"], one["text"]) for one in body["commands"]),
        launch_url=body["launchUrl"],
        file_url=file_url,
    )


def _role(one: Mapping[str, Any]) -> Role:
    trust = one["trust"]
    return Role(
        name=one["role"] if isinstance(one["role"], str) else one["logicalId"],
        description=one["description"],
        principal=trust["principal"],
        trust_reason=trust["reason"],
        trust_conditions=_conditions(trust["conditions"]),
        managed=tuple(str(policy) for policy in one["managedPolicies"]),
        statements=tuple(_statement(statement) for statement in one["statements"]),
        is_ours="WebIdentity" in str(trust["action"]),
    )


def _statement(one: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=one["sid"],
        effect=one["effect"],
        actions=tuple(one["actions"]),
        resources=tuple(str(resource) for resource in one["resources"]),
        besides=one["besides"],
        conditions=_conditions(one["conditions"]),
        reason=one["reason"],
        consent=one["consent"] or "",
    )


def _conditions(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Conditions as sentences: key, operator, values."""
    return tuple(f"{key} {operator} {_spoken(value)}" for operator, keys in given.items() for key, value in keys.items())


def _spoken(value: object) -> str:
    return " or ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)


def _parameter(one: Mapping[str, Any], declared: Mapping[str, Any]) -> Parameter:
    spoken = declared[one["name"]].get("ConstraintDescription", "")
    allowed = ", ".join(str(value) for value in one["allowedValues"]) or spoken or one["allowedPattern"]
    return Parameter(name=one["name"], default=str(one["default"]), description=one["description"], allowed=allowed)
