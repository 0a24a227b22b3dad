"""What the agent remembers: the saved key of genkey, the keys of its identity, and what it is connected to.

Every change that matters is one atomic replacement of `agentconfig.json`. Key files are written before the configuration names them and
removed after it stopped naming them, so a crash at any point leaves a configuration whose keys exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from isthmus_agent import files
from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.keys import Key
from isthmus_agent.paths import Paths

_GENERATION = b"Generation: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """What the machine is connected to. `identity_key` and `next_key` name files in `certs/`; `next_key` is set while a renewal runs.

    `ca` is the PEM of the control plane's CA, empty when the system's CAs are trusted. Nothing here is secret.
    """

    subscription_id: str
    resource_group: str
    resource_name: str
    resource_id: str
    tenant_id: str
    location: str
    vm_id: str
    cloud: str
    correlation_id: str
    endpoint: str
    ca: str
    client_id: str
    principal_id: str
    token_endpoint: str
    heartbeat_seconds: int
    registration_expires_at: str
    generation: str
    identity_key: str
    next_key: str = ""

    def same_machine(self, resource_id: str, vm_id: str) -> bool:
        """Whether this is a connection to that ARM machine."""
        return self.resource_id.casefold() == resource_id.casefold() and self.vm_id.casefold() == vm_id.casefold()


class Store:
    """Reads and writes the agent's files. Callers that change something hold `locked()`."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def prepare(self) -> None:
        """Create the folders, closed to everybody else."""
        try:
            for folder in (self.paths.state, self.paths.certs, self.paths.log, self.paths.socks):
                files.make_folder(folder)
        except OSError as error:
            raise AgentError(Exit.CONFIG_WRITE, f"{self.paths.state} cannot be written: {error.strerror}.") from error

    @contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[bool]:
        """Exclude other changes; yields False when not waiting and somebody else is changing something."""
        self.prepare()
        with files.locked(self.paths.lock, wait=wait) as held:
            yield held

    def connection(self) -> Connection | None:
        """The present connection; None when there is none. AgentError 70 on a file that is not ours."""
        try:
            raw = self.paths.config.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AgentError(Exit.CONFIG_READ, f"{self.paths.config} cannot be read: {error.strerror}.") from error
        try:
            return _parse(json.loads(raw))
        except (ValueError, KeyError, TypeError) as error:
            raise AgentError(
                Exit.CONFIG_READ, f"{self.paths.config} is not a valid configuration; run disconnect --force-local-only."
            ) from error

    def save(self, connection: Connection) -> None:
        """Replace the connection; from here on its keys are the machine's identity."""
        text = json.dumps({_camel(name): value for name, value in asdict(connection).items()}, indent=2)
        self._write(self.paths.config.name, text.encode())

    def _write(self, name: str, content: bytes) -> None:
        try:
            files.write(self.paths.state / name, content)
        except OSError as error:
            raise AgentError(Exit.CONFIG_WRITE, f"{self.paths.state / name} cannot be written: {error.strerror}.") from error

    def saved_key(self) -> tuple[Key, str] | None:
        """The key of the last genkey that no connect used yet, and its generation (`""` when none was given)."""
        try:
            raw = self.paths.saved_key.read_bytes()
        except FileNotFoundError:
            return None
        first = raw.partition(b"\n")[0]
        generation = first.removeprefix(_GENERATION).decode() if first.startswith(_GENERATION) else ""
        return Key.from_pem(raw), generation

    def save_saved_key(self, key: Key, generation: str) -> None:
        """Keep a key for the next connect. The generation stands before the PEM, where readers of PEM skip text."""
        self._write(f"certs/{self.paths.saved_key.name}", _GENERATION + generation.encode() + b"\n" + key.pem())

    def save_key(self, key: Key) -> str:
        """Keep a key of the identity; its file name. Nothing uses it until a connection names it."""
        name = f"identity-{key.thumbprint[:32]}.pem"
        self._write(f"certs/{name}", key.pem())
        return name

    def key(self, name: str) -> Key:
        """Read a key of the identity; AgentError 104 when it is missing or damaged."""
        try:
            return Key.from_pem((self.paths.certs / name).read_bytes())
        except OSError as error:
            raise AgentError(Exit.READ_PRIVATE_KEY, f"The identity key {name} cannot be read: {error.strerror}.") from error

    def sweep(self) -> None:
        """Remove every key file that the connection does not name, the saved key too when its generation is in use already."""
        connection = self.connection()
        named = {connection.identity_key, connection.next_key} if connection else set()
        for path in self.paths.certs.glob("identity-*.pem"):
            if path.name not in named:
                files.remove(path)
        for path in self.paths.certs.glob(".*.pem.*"):
            files.remove(path)

    def drop_saved_key(self) -> None:
        """Forget the key of genkey: a key pair is used by one connect."""
        files.remove(self.paths.saved_key)

    def forget(self) -> None:
        """Clear the connection, then all keys. What is left connects to nothing."""
        files.remove(self.paths.config)
        files.remove(self.paths.status)
        self.sweep()


def renewing(connection: Connection, next_key: str) -> Connection:
    """The connection with a renewal under way to the key file `next_key`."""
    return replace(connection, next_key=next_key)


def promoted(connection: Connection) -> Connection:
    """The connection after its renewal succeeded: the next key is the identity key."""
    return replace(connection, identity_key=connection.next_key, next_key="")


def not_renewing(connection: Connection) -> Connection:
    """The connection without the next key, which the control plane does not want yet."""
    return replace(connection, next_key="")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _parse(data: dict[str, Any]) -> Connection:
    values: dict[str, Any] = {}
    for field in fields(Connection):
        value = data[_camel(field.name)] if field.name != "next_key" else data.get("nextKey", "")
        wanted = int if field.name == "heartbeat_seconds" else str
        if not isinstance(value, wanted):
            raise TypeError(field.name)
        values[field.name] = value
    return Connection(**values)
