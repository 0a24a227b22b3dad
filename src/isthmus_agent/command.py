"""The azcmagent command: verbs in, text and exit codes out. No secret passes through here: keys stay in `Store`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from isthmus_agent import VERSION
from isthmus_agent.arguments import parse
from isthmus_agent.check import check
from isthmus_agent.connect import Destination, Wanted, connect, disconnect, generate, generation_of
from isthmus_agent.exits import AgentError, Exit
from isthmus_agent.logs import Log
from isthmus_agent.paths import Paths
from isthmus_agent.plane import Plane
from isthmus_agent.service import serve
from isthmus_agent.show import show
from isthmus_agent.store import Store

_CHANGING = ("genkey", "connect", "disconnect", "service")


def main(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run one verb; the process exit code. Errors go to standard output like all of azcmagent's text, or to stderr on request."""
    environ = os.environ if environ is None else environ
    paths = Paths.of(environ)
    log = Log(paths.log / "azcmagent.log")
    try:
        arguments = parse(argv)
    except AgentError as error:
        return _fail(error, to_stderr="--log-stderr" in argv)
    try:
        _require_root(paths, arguments.verb)
        code, text = _run(arguments, Store(paths), environ)
    except AgentError as error:
        if arguments.verb in _CHANGING:
            log.error(f"{arguments.verb} failed.", Error=error, Code=int(error.code))
        return _fail(error, to_stderr=arguments.log_stderr)
    if arguments.verb in _CHANGING:
        log.info(f"{arguments.verb} finished.", Code=int(code))
    if text:
        sys.stdout.write(text + "\n")
    return int(code)


def _fail(error: AgentError, *, to_stderr: bool) -> int:
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(f"{error}\n")
    return int(error.code)


def _require_root(paths: Paths, verb: str) -> None:
    if verb in _CHANGING and str(paths.root) == "/" and os.geteuid() != 0:
        raise AgentError(Exit.NOT_ADMINISTRATOR, f"{verb} needs root.")


def _run(arguments: argparse.Namespace, store: Store, environ: Mapping[str, str]) -> tuple[Exit, str]:
    if arguments.verb == "genkey":
        public = generate(store, generation_of(environ))
        return Exit.OK, json.dumps({"publicKey": public}) if arguments.json else public
    if arguments.verb == "connect":
        return _connect(arguments, store, environ)
    if arguments.verb == "disconnect":
        was = disconnect(store, Plane, local_only=arguments.force_local_only, clock=time.time)
        return Exit.OK, "Disconnected." if was else "This machine was not connected."
    if arguments.verb == "show":
        return Exit.OK, show(store, time.time(), arguments.properties, as_json=arguments.json)
    if arguments.verb == "check":
        return _check(arguments, store, environ)
    if arguments.verb == "service":
        signal.signal(signal.SIGTERM, _stop)
        serve(store, Plane, Log(store.paths.log / "himds.log"))
    return Exit.OK, json.dumps({"agentVersion": VERSION}) if arguments.json else f"azcmagent version {VERSION}"


def _connect(arguments: argparse.Namespace, store: Store, environ: Mapping[str, str]) -> tuple[Exit, str]:
    wanted = Wanted(
        subscription_id=arguments.subscription_id,
        resource_group=arguments.resource_group,
        resource_name=arguments.resource_name,
        location=arguments.location,
        tenant_id=arguments.tenant_id,
        vm_id=arguments.vmid,
        cloud=arguments.cloud,
        correlation_id=arguments.correlation_id,
    )
    destination = Destination.of(environ)
    plane = Plane(destination.ca)
    try:
        connection = connect(store, wanted, destination, plane, clock=time.time, sleep=time.sleep)
    finally:
        plane.close()
    if arguments.json:
        return Exit.OK, json.dumps({"status": "success", "resourceId": connection.resource_id, "vmId": connection.vm_id})
    return Exit.OK, f"Connected machine to Isthmus: {connection.resource_id}"


def _check(arguments: argparse.Namespace, store: Store, environ: Mapping[str, str]) -> tuple[Exit, str]:
    destination = Destination.of(environ)
    endpoint, ca = destination.endpoint, destination.ca
    if not endpoint:
        connection = store.connection()
        if connection is None:
            raise AgentError(Exit.CLOUD_CONFIG, "There is nothing to check: set ISTHMUS_ENDPOINT or connect first.")
        endpoint, ca = connection.endpoint, connection.ca
    findings = check(endpoint, ca, clock=time.time)
    code = Exit.OK if all(finding.passed for finding in findings) else Exit.NETWORK
    if arguments.json:
        return code, json.dumps([{"name": f.name, "passed": f.passed, "detail": f.detail} for f in findings])
    return code, "\n".join(f"{finding.name:<20}: {'ok' if finding.passed else 'FAILED'}, {finding.detail}" for finding in findings)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
