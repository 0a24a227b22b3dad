"""Bodies of the machine API: what a machine may say, and how much of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.wording import sentence

Short = Annotated[str, StringConstraints(max_length=256)]
Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Statement = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class _Said(BaseModel):
    """Unknown members are ignored, so that newer agents may say more."""

    model_config = ConfigDict(extra="ignore", strict=True)


class Processor(_Said):
    """One socket."""

    name: Short = ""
    numberOfCores: int = Field(default=0, ge=0, le=65_536)


class Hardware(_Said):
    """`hardwareProfile` of HybridCompute."""

    totalPhysicalMemoryInBytes: int = Field(default=0, ge=0, le=2**60)
    numberOfCpuSockets: int = Field(default=0, ge=0, le=4096)
    processors: list[Processor] = Field(default_factory=list, max_length=64)


class Address(_Said):
    """One address of an interface."""

    address: Short
    ipAddressVersion: Short = ""


class Interface(_Said):
    """One network interface."""

    name: Short = ""
    macAddress: Short = ""
    ipAddresses: list[Address] = Field(default_factory=list, max_length=32)


class Network(_Said):
    """`networkProfile` of HybridCompute."""

    networkInterfaces: list[Interface] = Field(default_factory=list, max_length=64)


class Facts(_Said):
    """Read-only properties of a machine that only the machine itself knows. What it does not say stays as it was."""

    osName: Short | None = None
    osType: Short | None = None
    osVersion: Short | None = None
    osSku: Short | None = None
    machineFqdn: Short | None = None
    displayName: Short | None = None
    agentVersion: Short | None = None
    vmUuid: Short | None = None
    detectedProperties: Annotated[dict[Short, Short], Field(max_length=64)] | None = None
    hardwareProfile: Hardware | None = None
    networkProfile: Network | None = None

    def properties(self) -> dict[str, Any]:
        """What was said, as properties of the machine resource."""
        return self.model_dump(exclude_none=True, exclude_unset=True)


READ_ONLY = frozenset(Facts.model_fields) - {"osName", "osType"}
"""Properties that come from the machine alone; users write osName and osType when they register one."""


class ChallengeBody(_Said):
    """`POST /agent/v1/challenge`."""

    vmId: Guid


class EnrolBody(_Said):
    """`POST /agent/v1/enrol`."""

    statement: Statement
    facts: Facts = Field(default_factory=Facts)


class HeartbeatBody(_Said):
    """`POST /agent/v1/heartbeat`."""

    agentVersion: Short = ""
    facts: Facts = Field(default_factory=Facts)

    def properties(self) -> dict[str, Any]:
        """Everything said, as properties of the machine resource."""
        return self.facts.properties() | ({"agentVersion": self.agentVersion} if self.agentVersion else {})


class RenewBody(_Said):
    """`POST /agent/v1/renew`: the next key, its statement, and the present key's leave."""

    publicKey: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    statement: Statement
    authorization: Statement


Body = TypeVar("Body", bound=_Said)


def read(model: type[Body], body: object) -> Body:
    """The body as `model`; ArmError 400 `InvalidRequestContent` names the first wrong member."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        target = ".".join(str(part) for part in problem["loc"])
        details = [ArmError("InvalidParameter", sentence(problem), target=target)]
        raise invalid(f"{target or 'The body'}: {sentence(problem)}", target=target or None, details=details) from None


def digest(said: Mapping[str, Any]) -> str:
    """SHA-256 over what a machine said; equal digests mean that nothing is worth storing."""
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
