"""The content of an SSM document: what AWS checks in it, its parameters, and its steps with parameters put in.

Schema 2.2 (AWS Systems Manager User Guide, "Schemas, features, and examples"); other schema versions are kept but cannot be run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus_lab.ssm.errors import SsmError

LARGEST = 64 * 1024
SHELL, POWERSHELL = "aws:runShellScript", "aws:runPowerShellScript"
PLATFORMS = {SHELL: ("Linux", "MacOS"), POWERSHELL: ("Windows", "Linux", "MacOS")}
EXECUTION = 3600
"""Seconds a step may run unless it says otherwise."""
_REFERENCE = re.compile(r"{{\s*([A-Za-z0-9_]+)\s*}}")

Values = Mapping[str, str | list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step with its parameters put in. `lines` of the script, `timeout` in seconds; `platform` from its precondition, or empty."""

    name: str
    action: str
    lines: list[str]
    timeout: float
    working_directory: str
    platform: str


def parse(text: str) -> dict[str, Any]:
    """Check a document's text as CreateDocument does; raises SsmError."""
    if len(text.encode()) > LARGEST:
        raise SsmError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise SsmError("InvalidDocumentContent", f"The content of the document is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise SsmError("InvalidDocumentContent", "The content of the document is not a JSON object.")
    if not re.fullmatch(r"\d+\.\d+", str(content.get("schemaVersion", ""))):
        raise SsmError("InvalidDocumentSchemaVersion", "The document has no valid schemaVersion.")
    return content


def check_command(content: Mapping[str, Any]) -> None:
    """What AWS demands of a Command document beyond being JSON; raises SsmError."""
    if content["schemaVersion"] not in ("1.2", "2.0", "2.2"):
        raise SsmError("InvalidDocumentSchemaVersion", f"Schema version {content['schemaVersion']} is not one of Command documents.")
    steps = content.get("mainSteps")
    if content["schemaVersion"] == "2.2" and (not isinstance(steps, list) or not steps):
        raise SsmError("InvalidDocumentContent", "The document has no mainSteps.")
    declared = content.get("parameters") or {}
    if not isinstance(declared, dict) or not all(isinstance(row, dict) and "type" in row for row in declared.values()):
        raise SsmError("InvalidDocumentContent", "Every parameter of a document needs a type.")
    names = [step.get("name") for step in steps or [] if isinstance(step, dict)]
    if len(set(names)) != len(steps or []) or not all(isinstance(name, str) and name for name in names):
        raise SsmError("InvalidDocumentContent", "Every step of a document needs a name of its own.")
    for name in sorted(set(_REFERENCE.findall(json.dumps(steps or [])))):
        if name not in declared:
            raise SsmError("InvalidDocumentContent", f"The document refers to the parameter {name}, which it does not declare.")
    for name, row in declared.items():
        for pattern in filter(None, [row.get("allowedPattern")]):
            try:
                re.compile(pattern)
            except re.error as error:
                raise SsmError("InvalidDocumentContent", f"The allowedPattern of {name} is not a regular expression.") from error


def platforms(content: Mapping[str, Any]) -> list[str]:
    """PlatformTypes of a document: where at least one of its steps can run."""
    found = {
        name for step in content.get("mainSteps") or [] for name in PLATFORMS.get(str(step.get("action")), ("Windows", "Linux", "MacOS"))
    }
    return [name for name in ("Windows", "Linux", "MacOS") if name in found]


def values_of(content: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The value of every declared parameter; raises InvalidParameters for unknown, missing and forbidden ones."""
    declared: Mapping[str, Any] = content.get("parameters") or {}
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise _refused(f"The parameter {unknown[0]} is not declared by the document.")
    return {name: _value(name, row, given.get(name)) for name, row in declared.items()}


def _value(name: str, row: Mapping[str, Any], given: Any) -> str | list[str]:
    kind = row["type"]
    if given is None:
        if "default" not in row:
            raise _refused(f"The parameter {name} is required.")
        default = row["default"]
        return [str(item) for item in default] if isinstance(default, list) else str(default)
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise _refused(f"The values of the parameter {name} must be a list of strings.")
    if kind != "StringList" and len(given) != 1:
        raise _refused(f"The parameter {name} takes exactly one value.")
    for value in given:
        _check(name, row, value)
    return list(given) if kind == "StringList" else str(given[0])


def _check(name: str, row: Mapping[str, Any], value: str) -> None:
    allowed = row.get("allowedValues")
    if allowed and value not in [str(item) for item in allowed]:
        raise _refused(f"The value of the parameter {name} is not one of its allowedValues.")
    pattern = row.get("allowedPattern")
    if pattern and not re.search(pattern, value):
        raise _refused(f"The value of the parameter {name} does not match its allowedPattern {pattern}.")
    least, most = int(row.get("minChars", 0)), int(row.get("maxChars", LARGEST))
    if not least <= len(value) <= most:
        raise _refused(f"The value of the parameter {name} must have {least} to {most} characters.")


def _refused(message: str) -> SsmError:
    return SsmError("InvalidParameters", message)


def steps(content: Mapping[str, Any], values: Values) -> list[Step]:
    """The document's steps with parameters put in, in order."""
    return [_step(step, values) for step in content.get("mainSteps") or []]


def _step(step: Mapping[str, Any], values: Values) -> Step:
    inputs: Mapping[str, Any] = step.get("inputs") or {}
    commands = inputs.get("runCommand", [])
    lines: list[str] = []
    for line in commands if isinstance(commands, list) else [commands]:
        whole = _REFERENCE.fullmatch(str(line).strip())
        value = values.get(whole[1]) if whole else None
        lines += value if isinstance(value, list) else [_fill(str(line), values)]
    try:
        timeout = float(_fill(str(inputs.get("timeoutSeconds", EXECUTION)), values))
    except ValueError:
        timeout = EXECUTION
    precondition = (step.get("precondition") or {}).get("StringEquals") or []
    platform = next((str(item) for item in precondition if item != "platformType"), "") if "platformType" in precondition else ""
    return Step(
        name=str(step["name"]),
        action=str(step.get("action", "")),
        lines=lines,
        timeout=timeout,
        working_directory=_fill(str(inputs.get("workingDirectory", "")), values),
        platform=platform,
    )


def _fill(text: str, values: Values) -> str:
    def put(match: re.Match[str]) -> str:
        value = values.get(match[1], match[0])
        return json.dumps(value) if isinstance(value, list) else value

    return _REFERENCE.sub(put, text)
