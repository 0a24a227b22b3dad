"""The SSM service of the lab: JSON 1.1 requests in, answers out; everything it does not answer itself falls through."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from isthmus_lab.machines.supervisor import Machines
from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.command_calls import CommandCalls
from isthmus_lab.ssm.document_calls import DocumentCalls
from isthmus_lab.ssm.documents import DocumentStore
from isthmus_lab.ssm.errors import SsmError
from isthmus_lab.ssm.nodes import Nodes
from isthmus_lab.ssm.running import Running
from isthmus_lab.ssm.sending import Sending
from isthmus_lab.ssm.sessions import SessionCalls
from isthmus_lab.world import Response, World

log = logging.getLogger(__name__)

NODE_DELAY, SETTLE = 0.5, 0.15
"""Seconds until a manageable instance shows up as a node, and until a command's invocations can be read. AWS takes minutes and moments."""

Call = Callable[[Mapping[str, Any]], dict[str, Any]]


class SsmService:
    """Implements `world.Ssm`. The environment variable ISTHMUS_LAB_NODE_DELAY changes the delay of new nodes."""

    def __init__(self, world: World, *, node_delay: float | None = None, settle: float = SETTLE) -> None:
        delay = float(os.environ.get("ISTHMUS_LAB_NODE_DELAY", NODE_DELAY)) if node_delay is None else node_delay
        self.machines = Machines(world.state_dir, world)
        self.documents = DocumentStore(world.clock)
        access = Access(world)
        self._nodes = Nodes(world, self.machines, access, delay=delay)
        self._running = Running(world, self.machines, self._nodes, settle=settle)
        sending = Sending(world, access, self.documents, self._nodes)
        self._commands = CommandCalls(world, access, sending, self._running, settle=settle)
        self._sessions = sessions = SessionCalls(world, access, self.documents, self._nodes)
        self.machines.tell(sessions.facts)
        documents, commands = DocumentCalls(access, self.documents), self._commands
        self._calls: Mapping[str, Call] = {
            "CreateDocument": documents.create,
            "UpdateDocument": documents.update,
            "UpdateDocumentDefaultVersion": documents.set_default,
            "GetDocument": documents.get,
            "DescribeDocument": documents.describe,
            "ListDocuments": documents.list_all,
            "ListDocumentVersions": documents.list_versions,
            "DeleteDocument": documents.delete,
            "DescribeInstanceInformation": self._nodes.describe,
            "SendCommand": commands.send,
            "ListCommands": commands.list_commands,
            "ListCommandInvocations": commands.list_invocations,
            "GetCommandInvocation": commands.get_invocation,
            "CancelCommand": commands.cancel,
            "StartSession": sessions.start,
            "ResumeSession": sessions.resume,
            "TerminateSession": sessions.terminate,
            "DescribeSessions": sessions.describe,
            "GetConnectionStatus": sessions.connection,
        }
        self.operations = frozenset(self._calls)

    async def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Response | None:
        """Answer an operation of `operations`, None for any other."""
        call = self._calls.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if call is None:
            return None
        try:
            request = json.loads(body or b"{}")
            if not isinstance(request, dict):
                raise SsmError("SerializationException", "The request is not a JSON object.")
            return _answer(200, call(request))
        except SsmError as error:
            return _answer(error.status, {"__type": error.code, "message": error.message})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("An SSM request could not be read.", exc_info=True)
            return _answer(400, {"__type": "SerializationException", "message": f"The request is malformed: {error}."})

    async def admin(self, method: str, path: str, body: bytes) -> Response | None:
        """Admin requests below `/_lab/machines`."""
        return await self.machines.admin(method, path, body)

    async def start(self) -> None:
        """Start the machines."""
        await self.machines.start()

    async def reset(self) -> None:
        """Forget commands, nodes and documents; stop the machines and erase their disks."""
        await self._running.stop()
        self._commands.reset()
        self._sessions.reset()
        self._nodes.reset()
        self.documents.reset()
        await self.machines.reset()

    async def stop(self) -> None:
        """Stop commands and machines."""
        await self._running.stop()
        await self.machines.stop()


def _answer(status: int, value: Mapping[str, Any]) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(value).encode()
