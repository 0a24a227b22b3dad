"""Sessions of Session Manager, which AWS' own plugin carries. Each names the grant as its reason.

What opens a session's stream is a secret, so the plugin gets it in its environment and never as an argument; plugins up to 1.2.497.0 take
it as an argument alone and are refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.taking import Taken
from isthmus.cli.aws.targets import Target

PLUGIN: Final = "session-manager-plugin"
SSH_DOCUMENT: Final = "AWS-StartSSHSession"
MAX_REASON: Final = 256
_RESPONSE = "AWS_SSM_START_SESSION_RESPONSE"
_LAST_WITHOUT = (1, 2, 497, 0)
_INSTALL = "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shell:
    """An open session, and how the plugin is run for it: `environ` holds secrets, `command` none."""

    id: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)


def find_plugin() -> str:
    """Where the plugin is. ArmError `PluginNotFound` with what to install, before anything was opened."""
    path = shutil.which(PLUGIN)
    if path is None:
        raise ArmError("PluginNotFound", f"Install AWS' {PLUGIN}: {_INSTALL}", target=PLUGIN)
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ArmError("PluginNotFound", f"{path} does not run. Install it anew: {_INSTALL}", target=PLUGIN) from error
    version = tuple(map(int, told.split("."))) if re.fullmatch(r"\d{1,6}(\.\d{1,6}){3}", told) else ()
    if version <= _LAST_WITHOUT:
        raise ArmError("PluginNotFound", f"{path} is too old (1.2.536.0 or later is needed). Update it: {_INSTALL}", target=PLUGIN)
    return path


@contextmanager
def open_shell(taken: Taken, target: Target, plugin: str, *, reason: str = "", document: str = "") -> Iterator[Shell]:
    """Open a session, and end it at the end whatever happens. ArmError as calls."""
    asked: dict[str, Any] = {"Target": target.instance, "Reason": reason_of(taken.grant, reason)}
    if document:
        asked |= {"DocumentName": document, "Parameters": {"portNumber": ["22"]}}
    made = taken.call("ssm:StartSession", asked, region=target.region)
    try:
        response = json.dumps({name: made[name] for name in ("SessionId", "TokenValue", "StreamUrl")})
        # The name of an AWS profile stands between: there is none, the plugin goes on with the credentials in its environment.
        command = (plugin, _RESPONSE, target.region, "StartSession", "", json.dumps(asked), _endpoint(target.region))
        yield Shell(id=made["SessionId"], command=command, environ=_environ(taken, target.region, response))
    finally:
        _end(taken, target, made["SessionId"])


def reason_of(grant: str, reason: str) -> str:
    """What the account reads: the grant, and the words for it as far as they fit."""
    return f"{grant}: {reason}"[:MAX_REASON] if reason.strip() else grant


def run(command: tuple[str, ...], environ: Mapping[str, str]) -> int:
    """Run a program at this terminal; its exit code as a shell tells it. ArmError `CommandNotRun`."""
    try:
        process = subprocess.Popen(command, env=environ)
    except OSError as error:
        raise ArmError("CommandNotRun", f"'{command[0]}' could not be run: {error.strerror}.", target=command[0]) from error
    while True:
        try:
            ended = process.wait()
            return ended if ended >= 0 else 128 - ended
        except KeyboardInterrupt:
            continue  # The program at the terminal was interrupted as well, and decides what that means.


def _end(taken: Taken, target: Target, id: str) -> None:
    """One that has ended already, or that we may not end any more, is nobody's concern here: offboarding ends it where that matters."""
    try:
        taken.call("ssm:TerminateSession", {"SessionId": id}, region=target.region)
    except ArmError:
        return


def _environ(taken: Taken, region: str, response: str) -> dict[str, str]:
    made = taken.credentials
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") or name.startswith(("AWS_ENDPOINT", "AWS_CA"))}
    return kept | {
        _RESPONSE: response,
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": made.access_key,
        "AWS_SECRET_ACCESS_KEY": made.secret_key,
        "AWS_SESSION_TOKEN": made.session_token,
    }


def _endpoint(region: str) -> str:
    custom = os.environ.get("AWS_ENDPOINT_URL_SSM") or os.environ.get("AWS_ENDPOINT_URL")
    return custom or f"https://ssm.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
