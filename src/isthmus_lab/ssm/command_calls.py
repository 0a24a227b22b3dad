"""The API operations on commands."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from typing import Any

from isthmus_lab.machines.scripts import STDERR, STDOUT
from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.commands import Command, Invocation, Plugin
from isthmus_lab.ssm.errors import SsmError, invalid
from isthmus_lab.ssm.paging import page, text, texts
from isthmus_lab.ssm.running import Running
from isthmus_lab.ssm.sending import Sending
from isthmus_lab.world import World

Request = Mapping[str, Any]
Answer = dict[str, Any]

_COMMAND_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXECUTING = ("Pending", "InProgress", "Cancelling", "Delayed")


class CommandCalls:
    """SendCommand and its siblings. `settle`: seconds after SendCommand in which invocations are not visible yet."""

    def __init__(self, world: World, access: Access, sending: Sending, running: Running, *, settle: float) -> None:
        self._world, self._access, self._sending, self._running = world, access, sending, running
        self._settle = settle
        self._commands: dict[str, Command] = {}

    def reset(self) -> None:
        """Forget all commands."""
        self._commands.clear()

    def send(self, request: Request) -> Answer:
        """SendCommand."""
        command = self._sending.accept(request)
        self._commands[command.id] = command
        self._running.start(command)
        return {"Command": command.row()}

    def list_commands(self, request: Request) -> Answer:
        """ListCommands, newest first."""
        self._access.anything("ssm:ListCommands")
        wanted = _filters(request, {"InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"})
        rows = [command for command in self._chosen(request) if _fits(command, command.status[0], wanted)]
        instance_id = request.get("InstanceId")
        if instance_id:
            rows = [command for command in rows if instance_id in command.invocations]
        found, more = page(rows, request, least=1, most=50, default=50)
        return {"Commands": [command.row() for command in found], **more}

    def list_invocations(self, request: Request) -> Answer:
        """ListCommandInvocations; steps and their output with `Details`."""
        self._access.anything("ssm:ListCommandInvocations")
        wanted = _filters(request, {"InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"})
        instance_id = request.get("InstanceId")
        rows = [
            (command, invocation)
            for command in self._chosen(request)
            if self._visible(command)
            for invocation in command.invocations.values()
            if _fits(command, invocation.status, wanted) and instance_id in (None, invocation.instance.instance_id)
        ]
        found, more = page(rows, request, least=1, most=50, default=50)
        details = bool(request.get("Details", False))
        return {"CommandInvocations": [_invocation(command, invocation, details) for command, invocation in found], **more}

    def get_invocation(self, request: Request) -> Answer:
        """GetCommandInvocation. Output is empty until the command ended on the machine."""
        self._access.anything("ssm:GetCommandInvocation")
        command = self._commands.get(_command_id(text(request, "CommandId")))
        invocation = command.invocations.get(text(request, "InstanceId")) if command and self._owned(command) else None
        if command is None or invocation is None or not self._visible(command):
            raise SsmError("InvocationDoesNotExist", "The command ID and managed node ID you specified did not match any invocations.")
        plugin = _chosen_plugin(invocation, request.get("PluginName"))
        ended = invocation.done
        return {
            "CommandId": command.id,
            "InstanceId": invocation.instance.instance_id,
            "Comment": command.comment,
            "DocumentName": command.document.name,
            "DocumentVersion": command.document.version,
            "PluginName": plugin.name,
            "ResponseCode": plugin.code if ended else -1,
            "ExecutionStartDateTime": _iso(plugin.started),
            "ExecutionElapsedTime": f"PT{plugin.ended - plugin.started:.3f}S" if plugin.ended else "",
            "ExecutionEndDateTime": _iso(plugin.ended),
            "Status": invocation.status,
            "StatusDetails": invocation.detail,
            "StandardOutputContent": plugin.stdout[:STDOUT] if ended else "",
            "StandardOutputUrl": "",
            "StandardErrorContent": plugin.stderr[:STDERR] if ended else "",
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        }

    def cancel(self, request: Request) -> Answer:
        """CancelCommand, on all machines or on some."""
        self._access.anything("ssm:CancelCommand")
        command = self._commands.get(_command_id(text(request, "CommandId")))
        if command is None or not self._owned(command):
            raise SsmError("InvalidCommandId", "The specified command ID is not valid. Verify the ID and try again.")
        ids = texts(request, "InstanceIds")
        if len(set(ids)) != len(ids):
            raise SsmError("DuplicateInstanceId", "An instance ID was given more than once.")
        if any(value not in command.invocations for value in ids):
            raise SsmError("InvalidInstanceId", "The command was not sent to one of the given instances.")
        command.cancelled = True
        for invocation in [command.invocations[value] for value in ids] or command.invocations.values():
            self._running.cancel(invocation)
        return {}

    def _chosen(self, request: Request) -> list[Command]:
        wanted = request.get("CommandId")
        if wanted:
            command = self._commands.get(_command_id(str(wanted)))
            return [command] if command and self._owned(command) else []
        return [command for command in reversed(self._commands.values()) if self._owned(command)]

    def _owned(self, command: Command) -> bool:
        return (command.account, command.region) == self._access.place()

    def _visible(self, command: Command) -> bool:
        return self._world.clock() >= command.requested + self._settle


def _command_id(value: str) -> str:
    if not _COMMAND_ID.fullmatch(value):
        raise SsmError("InvalidCommandId", "The specified command ID is not valid. Verify the ID and try again.")
    return value


def _filters(request: Request, allowed: set[str]) -> dict[str, str]:
    wanted = {str(row.get("key", "")): str(row.get("value", "")) for row in request.get("Filters") or []}
    for key in wanted:
        if key not in allowed:
            raise SsmError("InvalidFilterKey", f"The filter key {key} is not valid.")
    return wanted


def _fits(command: Command, status: str, wanted: Mapping[str, str]) -> bool:
    stage = "Executing" if status in _EXECUTING else "Complete"
    return (
        ("InvokedAfter" not in wanted or command.requested > _epoch(wanted["InvokedAfter"]))
        and ("InvokedBefore" not in wanted or command.requested < _epoch(wanted["InvokedBefore"]))
        and wanted.get("Status", status) == status
        and wanted.get("ExecutionStage", stage) == stage
        and wanted.get("DocumentName", command.document.name) == command.document.name
    )


def _invocation(command: Command, invocation: Invocation, details: bool) -> Answer:
    plugins = [_plugin(plugin, ended=invocation.done) for plugin in invocation.plugins] if details else []
    return {
        "CommandId": command.id,
        "InstanceId": invocation.instance.instance_id,
        "InstanceName": f"ip-{invocation.instance.private_ip.replace('.', '-')}.{invocation.instance.region}.compute.internal",
        "Comment": command.comment,
        "DocumentName": command.document.name,
        "DocumentVersion": command.document.version,
        "RequestedDateTime": command.requested,
        "Status": invocation.status,
        "StatusDetails": invocation.detail,
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": plugins,
        "ServiceRole": "",
    }


def _plugin(plugin: Plugin, *, ended: bool) -> Answer:
    row: Answer = {
        "Name": plugin.name,
        "Status": plugin.status,
        "StatusDetails": plugin.detail,
        "ResponseCode": plugin.code if ended else -1,
        "Output": plugin.output if ended else "",
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
    }
    times = {"ResponseStartDateTime": plugin.started, "ResponseFinishDateTime": plugin.ended}
    return row | {key: value for key, value in times.items() if value}


def _chosen_plugin(invocation: Invocation, name: Any) -> Plugin:
    """The named step; without a name the first that really ran, since a skipped step says nothing."""
    if name:
        for plugin in invocation.plugins:
            if plugin.name == name:
                return plugin
        raise SsmError("InvalidPluginName", f"The plugin name {name} is not valid.")
    return next((plugin for plugin in invocation.plugins if "Step execution skipped" not in plugin.stdout), invocation.plugins[0])


def _iso(epoch: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch)) + f".{int(epoch % 1 * 1000):03d}Z" if epoch else ""


def _epoch(value: str) -> float:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+]00:?00)?", value)
    if match is None:
        raise invalid(f"Value '{value}' is not a time such as 2026-08-29T00:00:00Z")
    return calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0)
