"""The agent's service (himds): idles until the machine is connected, then heartbeats and renews until it is told to stop."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from isthmus_agent import VERSION, files, poke
from isthmus_agent.exits import AgentError
from isthmus_agent.facts import gather
from isthmus_agent.logs import Log, rfc3339
from isthmus_agent.plane import Caller
from isthmus_agent.store import Connection, Store
from isthmus_agent.tokens import Gone, Tokens, failure

IDLE = 60.0
"""Seconds between looks at the configuration while nothing pokes the service."""
JITTER = 0.1
"""Share of an interval by which it is varied, so that a fleet does not beat in step."""
FIRST_RETRY, LAST_RETRY = 1.0, 300.0
"""Seconds; the pause after a failure doubles between the two and is then varied downwards by up to half."""


class Dice(Protocol):
    """The random source; `random.Random` is one."""

    def uniform(self, a: float, b: float) -> float:
        """A number from `a` to `b`."""


class Service:
    """One machine's service. `beat` does what is due and answers when to come back; `run` does that until it is stopped."""

    def __init__(
        self, store: Store, plane_for: Callable[[str], Caller], log: Log, *, clock: Callable[[], float], dice: Dice | None = None
    ) -> None:
        self._store = store
        self._plane_for = plane_for
        self._log = log
        self._clock = clock
        self._dice: Dice = dice or random.Random()  # noqa: S311 - spreads load, protects nothing
        self._session: tuple[str, Caller, Tokens] | None = None
        self._failures = 0
        self._due = 0.0
        self._seen: str | None = None

    def run(self) -> None:
        """Serve until SystemExit; a poke makes the service look at its configuration at once."""
        self._store.prepare()
        receiver = poke.listen(self._store.paths)
        self._log.info("Service started.", Version=VERSION)
        try:
            while True:
                self._wait(receiver, self.beat())
        finally:
            receiver.close()
            self._log.info("Service stopped.")

    def _wait(self, receiver: socket.socket, seconds: float) -> None:
        ready, _, _ = select.select([receiver], [], [], max(seconds, 0.0))
        if ready:
            poke.drain(receiver)

    def beat(self) -> float:
        """Do what is due; seconds until there is something to do again. Failures are logged and retried, never raised."""
        try:
            connection = self._store.connection()
        except AgentError as error:
            return self._failed(error)
        identity = f"{connection.vm_id} {connection.client_id} {connection.generation}" if connection else None
        if identity != self._seen:  # connected, disconnected or enrolled anew since the last look
            self._seen, self._due, self._failures, self._session = identity, 0.0, 0, None
        if connection is None:
            return IDLE
        now = self._clock()
        if now < self._due:
            return min(self._due - now, IDLE)
        try:
            seconds = self._heartbeat(connection)
        except Gone as error:
            self._clear(connection, error)
            return IDLE
        except (AgentError, OSError) as error:
            return self._failed(error)
        self._failures = 0
        pause = seconds * (1 + self._dice.uniform(-JITTER, JITTER))
        self._due = self._clock() + pause
        return min(pause, IDLE)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        ceiling = min(FIRST_RETRY * 2.0 ** min(self._failures - 1, 20), LAST_RETRY)
        pause = ceiling * self._dice.uniform(0.5, 1.0)
        self._due = self._clock() + pause
        self._log.warn("The control plane was not told; trying again.", Error=error, Failures=self._failures, Seconds=round(pause, 1))
        self._note(error=str(error))
        return pause

    def _heartbeat(self, connection: Connection) -> float:
        with self._store.locked(wait=False) as held:
            if not held or self._store.connection() != connection:
                return FIRST_RETRY  # a verb is changing the identity
            plane, tokens = self._speak(connection)
            try:
                connection = tokens.settled(connection)
                body = self._report(connection, plane, tokens)
                if body.get("renew") is True or connection.next_key:
                    renewed = tokens.renew(connection)
                    if renewed.identity_key != connection.identity_key:
                        self._log.info("Registration renewed.", Key=renewed.identity_key)
            finally:
                plane.close()
            self._note(error="")
        seconds = body.get("nextHeartbeatSeconds")
        known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= 86_400
        return float(seconds) if known and seconds is not None else float(connection.heartbeat_seconds)

    def _speak(self, connection: Connection) -> tuple[Caller, Tokens]:
        if self._session is None or self._session[0] != connection.ca:
            plane = self._plane_for(connection.ca)
            self._session = (connection.ca, plane, Tokens(self._store, plane, clock=self._clock))
        return self._session[1], self._session[2]

    def _report(self, connection: Connection, plane: Caller, tokens: Tokens) -> dict[str, Any]:
        facts = gather(self._store.paths.root)
        body = {"agentVersion": VERSION, "facts": facts}
        answer = plane.post(f"{connection.endpoint}/agent/v1/heartbeat", body, bearer=tokens.token(connection))
        if not answer.ok:
            tokens.forget()
            raise failure(answer, "report its heartbeat")
        return dict(answer.body)

    def _clear(self, connection: Connection, error: Gone) -> None:
        self._log.warn("The control plane removed this machine; its identity is cleared.", ResourceId=connection.resource_id, Error=error)
        with self._store.locked():
            if self._store.connection() == connection:  # not connected anew meanwhile
                self._store.forget()
        self._seen, self._session = None, None

    def _note(self, *, error: str) -> None:
        status = last_status(self._store)
        if error:
            status |= {"errorDetails": error, "errorTimestamp": rfc3339(self._clock())}
        else:
            status = {"lastHeartbeat": rfc3339(self._clock())}
        try:
            files.write(self._store.paths.status, json.dumps(status).encode())
        except OSError as problem:
            self._log.warn("The status cannot be written.", Error=problem.strerror)


def last_status(store: Store) -> dict[str, str]:
    """What the service noted last: `lastHeartbeat`, `errorDetails`, `errorTimestamp`; empty when it never did."""
    try:
        status = json.loads(store.paths.status.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in status.items()} if isinstance(status, dict) else {}


def serve(store: Store, plane_for: Callable[[str], Caller], log: Log) -> None:
    """Run the service of this machine with the real clock."""
    Service(store, plane_for, log, clock=time.time).run()
