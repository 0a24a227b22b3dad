"""`isthmus ssh`: SSH to an instance with a key of a minute, which EC2 Instance Connect puts there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from isthmus.arm.errors import ArmError, invalid
from isthmus.cli.aws.shells import SSH_DOCUMENT, Shell, find_plugin, open_shell, run
from isthmus.cli.aws.taking import Role, Taken, take
from isthmus.cli.aws.targets import Reason, Target, Where, find_target, require_available
from isthmus.cli.session import Session
from isthmus.client.private import write_private

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@._-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,253}")


class Way(Enum):
    """How the instance is reached."""

    DIRECT = "direct"
    SSM = "ssm"


def ssh(
    session: Session,
    destination: Annotated[str, typer.Argument(help="USER@TARGET: your Unix user there, and the instance or machine.")],
    command: Annotated[list[str] | None, typer.Argument(help="Command to run there, after --. Default: a shell.")] = None,
    *,
    role: Role = "",
    region: Where = "",
    reason: Reason = "",
    via: Annotated[Way, typer.Option("--via", help="Straight to its address, or through Session Manager.")] = Way.DIRECT,
    address: Annotated[str, typer.Option("--address", help="Address to go to. Default: the public one, else the private one.")] = "",
) -> None:
    """Log in to an instance with a key that is made for this and good for a minute."""
    program = shutil.which("ssh")
    if program is None:
        raise ArmError("PluginNotFound", "There is no ssh on this computer. Install OpenSSH's client.", target="ssh")
    user, name = parted(destination)
    place = find_target(session, name, role=role, region=region)
    if role:
        require_available(session, role)
    plugin = find_plugin() if via is Way.SSM else ""
    host = place.instance if via is Way.SSM else chosen_address(place, address)
    taken = take(session, place.role, use="shell", region=place.region)
    with pushed_key(taken, place, user) as key:
        if via is Way.DIRECT:
            ended = run(ssh_command(program, key, place, user, host, command or []), os.environ)
        else:
            with open_shell(taken, place, plugin, reason=reason, document=SSH_DOCUMENT) as shell:
                ended = run(ssh_command(program, key, place, user, host, command or [], shell), shell.environ)
    raise typer.Exit(ended)


def parted(destination: str) -> tuple[str, str]:
    """User and target. ArmError 400 `InvalidTarget`."""
    user, at, target = destination.rpartition("@")
    if not at or not target or not _USER.fullmatch(user):
        raise invalid(f"Write USER@TARGET, not '{destination[:100]}'.", target="destination", code="InvalidTarget")
    return user, target


def chosen_address(place: Target, asked: str) -> str:
    """Where SSH goes. ArmError 400 `InvalidTarget`."""
    found = asked or next(iter(place.addresses), "")
    if not _HOST.fullmatch(found):
        raise invalid(
            f"No address of {place.instance} is known. Name one (--address), or go --via ssm.", target="address", code="InvalidTarget"
        )
    return found


@contextmanager
def pushed_key(taken: Taken, place: Target, user: str) -> Iterator[Path]:
    """A new private key in a file, whose public half lets the user in for a minute; the file is removed. ArmError as calls."""
    made = Ed25519PrivateKey.generate()
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    with tempfile.TemporaryDirectory(prefix="isthmus-ssh-") as folder:
        key = Path(folder) / "key"
        write_private(key, made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
        asked = {"InstanceId": place.instance, "InstanceOSUser": user, "SSHPublicKey": public}
        taken.call("ec2-instance-connect:SendSSHPublicKey", asked, region=place.region)
        yield key


def ssh_command(
    program: str, key: Path, place: Target, user: str, host: str, command: list[str], shell: Shell | None = None
) -> tuple[str, ...]:
    """OpenSSH with this key alone. The instance's id stands for it in known_hosts, since addresses go from one to another."""
    options = ["IdentitiesOnly=yes", f"HostKeyAlias={place.instance}"]
    if shell is not None:
        options.append(f"ProxyCommand={shlex.join(shell.command).replace('%', '%%')}")
    given = [part for option in options for part in ("-o", option)]
    return (program, "-i", str(key), *given, "-l", user, "--", host, *command)
