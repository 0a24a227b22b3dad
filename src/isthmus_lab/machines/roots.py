"""The root folder of a machine: what an EC2 instance's disk and firmware would show to the agent."""

from __future__ import annotations

import shlex
import shutil
import sys
import uuid
from pathlib import Path
from typing import Literal

from isthmus_lab.machines import launcher
from isthmus_lab.machines.platforms import Platform, platform_of
from isthmus_lab.world import Instance

Mode = Literal["normal", "noisy", "slow"]

_NOISE = "printf 'Setting up certificates...\\r\\n\\033[33mWARNING\\033[0m: entropy pool is low\\n(no key was produced)\\n'"


def prepare(root: Path, instance: Instance, socket_folder: Path) -> None:
    """Create what is missing of the machine's root; what the agent keeps there survives a restart of the instance."""
    platform = platform_of(instance.image_id, instance.platform)
    name = f"ip-{instance.private_ip.replace('.', '-')}.{instance.region}.compute.internal"
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"ec2:{instance.instance_id}")
    contents = {
        "etc/os-release": os_release(platform),
        "etc/hostname": name + "\n",
        "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
        "sys/class/dmi/id/product_name": "t3.micro\n",
        "sys/class/dmi/id/product_uuid": f"ec2{str(identity)[3:]}\n",
        "sys/class/net/ens5/address": ":".join(["02", *(f"{byte:02x}" for byte in identity.bytes[:5])]) + "\n",
    }
    for path, text in contents.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for folder in ("root", "tmp", "bin"):
        (root / folder).mkdir(mode=0o700, exist_ok=True)
    install(root, socket_folder, mode="normal")


def install(root: Path, socket_folder: Path, *, mode: Mode, seconds: float = 3600) -> None:
    """Write `bin/azcmagent`: the agent as it is, or behind a fault (`noisy`: genkey prints no key; `slow`: every verb first sleeps)."""
    lines = ["#!/bin/sh", f"export ISTHMUS_AGENT_ROOT={shlex.quote(str(root))}"]
    if mode == "noisy":
        lines.append(f'if [ "$1" = genkey ]; then {_NOISE}; exit 0; fi')
    if mode == "slow":
        lines.append(f"sleep {seconds:g}")
    command = [sys.executable, "-I", "-S", str(launcher.__file__), str(socket_folder)]
    lines.append(f'exec {shlex.join(command)} "$@"')
    path = root / "bin/azcmagent"
    path.unlink(missing_ok=True)  # a running script keeps the text it was started with
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)


def erase(root: Path) -> None:
    """The instance is terminated: its disk is gone."""
    shutil.rmtree(root, ignore_errors=True)


def os_release(platform: Platform) -> str:
    """os-release(5) of the platform."""
    return (
        f'NAME="{platform.name}"\nVERSION="{platform.version}"\nID="{platform.id}"\nVERSION_ID="{platform.version}"\n'
        f'PRETTY_NAME="{platform.pretty}"\n'
    )
