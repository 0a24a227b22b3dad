"""The one SSM document that Isthmus runs on machines: `genkey` prints a public key, `connect` joins a registered machine.

The document is the same for every connector, so that its hash is a property of this version of Isthmus. It takes no secret: endpoint
and CA are public, keys are made and stay on the machine. Every parameter has an `allowedPattern` without any character that a shell
reads, and the scripts put values between single quotes only.

The template carries the document as an object, so that whoever reviews the template can read the scripts. AWS hashes the text that
CloudFormation makes of it, and how that text is spaced and ordered is not promised (unverified). `document_hash` is Sha256 of
`document_text()`, compact JSON in our order; where AWS tells another hash, the shell compares the content itself with `same_content` and
pins the hash that it was told for exactly that content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY_BEGIN = "-----BEGIN ISTHMUS KEY-----"
KEY_END = "-----END ISTHMUS KEY-----"

MAX_MACHINES = 50
"""Instances of one command, AWS' limit for SendCommand by ids."""

EXECUTION_SECONDS = 600
"""How long one step may run on a machine before the SSM agent ends it."""

EXIT_CODES: Mapping[int, str] = {
    201: "azcmagent is not installed",
    202: "azcmagent genkey succeeded without printing a key",
    203: "the instance is not among the machines of the command",
    204: "the SSM agent did not say which instance it runs on",
    205: "the agent is connected to another resource, which the output names; nothing was changed",
}
"""Exit codes of our own. All others come from azcmagent, whose codes end at 107; 194 and 3010 would make the SSM agent reboot.

205 needs `subscriptionId` and `resourceGroup`, so these are worth passing with `genkey` too.
"""

_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_MACHINE = f"i-[0-9a-f]{{8,17}}={_UUID}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter of the document. Without a default it must be given; `pattern` is anchored at both ends."""

    name: str
    description: str
    pattern: str
    default: str | None = None


PARAMETERS = (
    Parameter(name="action", description="genkey or connect", pattern="^(genkey|connect)$"),
    Parameter(name="endpoint", description="URL of the control plane", pattern=r"^https://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$"),
    Parameter(name="ca", description="CA of the control plane: base64 of PEM", pattern="^[A-Za-z0-9+/]{0,16384}={0,2}$", default=""),
    Parameter(name="generation", description="A new generation makes a new key", pattern="^[0-9]{1,9}$"),
    Parameter(name="subscriptionId", description="Subscription of the machines", pattern=f"^({_UUID})?$", default=""),
    Parameter(name="resourceGroup", description="Resource group of the machines", pattern="^[A-Za-z0-9._()-]{0,90}$", default=""),
    Parameter(name="location", description="Location of the machines", pattern="^[a-z0-9]{0,40}$", default=""),
    Parameter(name="tenantId", description="Tenant of the machines", pattern=f"^({_UUID})?$", default=""),
    Parameter(
        name="machines",
        description="instance=vmId pairs, joined by semicolons",
        pattern=f"^({_MACHINE}(;{_MACHINE}){{0,{MAX_MACHINES - 1}}})?$",
        default="",
    ),
    Parameter(name="correlationId", description="Ties the agent's logs to ours", pattern=f"^({_UUID})?$", default=""),
    Parameter(name="proxy", description="Proxy of the agent", pattern=r"^(http://[A-Za-z0-9.-]{1,253}:[0-9]{1,5})?$", default=""),
)


def document() -> dict[str, Any]:
    """The document, schema 2.2: one step per platform, each with its precondition."""
    return {
        "schemaVersion": "2.2",
        "description": "Isthmus onboarding: makes a key pair on the machine, or connects the machine with it. Carries no secret.",
        "parameters": {parameter.name: _declaration(parameter) for parameter in PARAMETERS},
        "mainSteps": [
            _step("linux", "aws:runShellScript", "Linux", "onboard.sh"),
            _step("windows", "aws:runPowerShellScript", "Windows", "onboard.ps1"),
        ],
    }


def document_text() -> str:
    """The document as JSON text: compact, ASCII, keys in the order of `document`."""
    return json.dumps(document(), separators=(",", ":"))


def document_hash() -> str:
    """Lower-case hex Sha256 of `document_text()`."""
    return hashlib.sha256(document_text().encode()).hexdigest()


def same_content(text: str) -> bool:
    """Whether a document's text, however formatted, says exactly what ours does. Duplicate keys make it differ."""
    try:
        read = json.loads(text, object_pairs_hook=_unique)
    except ValueError:
        return False
    return bool(read == document())


def check_parameters(values: Mapping[str, str]) -> None:
    """Raise ValueError naming the first parameter that is unknown, missing or breaks its pattern; AWS would refuse the command too."""
    known = {parameter.name: parameter for parameter in PARAMETERS}
    for name in values:
        if name not in known:
            raise ValueError(f"The onboarding document has no parameter {name!r}.")
    for name, parameter in known.items():
        value = values.get(name, parameter.default)
        if value is None:
            raise ValueError(f"The onboarding document needs the parameter {name!r}.")
        # `$` would let a trailing line feed pass.
        if not re.fullmatch(parameter.pattern.removeprefix("^").removesuffix("$"), value):
            raise ValueError(f"The parameter {name!r} of the onboarding document does not match {parameter.pattern}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("duplicate key")
    return read


def _declaration(parameter: Parameter) -> dict[str, str]:
    declared = {"type": "String", "description": parameter.description, "allowedPattern": parameter.pattern}
    if parameter.default is not None:
        declared["default"] = parameter.default
    return declared


def _step(name: str, plugin: str, platform: str, script: str) -> dict[str, Any]:
    return {
        "action": plugin,
        "name": name,
        "precondition": {"StringEquals": ["platformType", platform]},
        "inputs": {"timeoutSeconds": str(EXECUTION_SECONDS), "runCommand": _lines(script)},
    }


def _lines(script: str) -> list[str]:
    """The script without its comments; the interpreter line stays."""
    text = (Path(__file__).parent / script).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("# ")]
