"""What the machine says about itself: a subset of the read-only properties of a HybridCompute machine.

Everything is read below the agent's root where it exists there, so machines with a root of their own tell their own facts; what the root
does not have (usually `proc`) comes from the kernel that runs the agent.
"""

from __future__ import annotations

import fcntl
import os
import platform
import socket
import struct
from pathlib import Path
from typing import Any

from isthmus_agent import VERSION

LONGEST, MOST = 256, 64
"""Characters of a text and rows of a list; a control plane takes no more."""
_SIOCGIFADDR = 0x8915
_CLOUDS = {"amazon ec2": "AWS", "google": "GCP", "microsoft corporation": "Azure"}


def gather(root: Path) -> dict[str, Any]:
    """All facts as JSON-ready values; a fact that cannot be read is left out or empty, never an error."""
    release = os_release(root)
    name = hostname(root)
    hardware = _hardware(root)
    cores = sum(processor["numberOfCores"] for processor in hardware["processors"])
    memory = hardware["totalPhysicalMemoryInBytes"]
    cloud = cloud_metadata(root)
    detected = {
        "cloudprovider": cloud["provider"],
        "manufacturer": cloud["manufacturer"],
        "model": cloud["model"],
        "coreCount": str(cores),
        "logicalCoreCount": str(cores),
        "processorCount": str(hardware["numberOfCpuSockets"]),
        "totalPhysicalMemoryInGigabytes": str(round(memory / 2**30)),
        "totalPhysicalMemoryInMegabytes": str(round(memory / 2**20)),
        "processorNames": ",".join(processor["name"] for processor in hardware["processors"]),
    }
    return {
        "osName": "linux",
        "osType": "linux",
        "osVersion": _text(root / "proc/sys/kernel/osrelease") or platform.release(),
        "osSku": release.get("PRETTY_NAME", ""),
        "machineFqdn": name,
        "displayName": name.split(".")[0],
        "agentVersion": VERSION,
        "vmUuid": _text(root / "sys/class/dmi/id/product_uuid"),
        "detectedProperties": {key: value[:LONGEST] for key, value in detected.items() if value},
        "hardwareProfile": hardware,
        "networkProfile": {"networkInterfaces": _interfaces(root)},
    }


def os_release(root: Path) -> dict[str, str]:
    """The fields of os-release(5), unquoted; empty when there is none."""
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def hostname(root: Path) -> str:
    """The machine's host name."""
    return _text(root / "etc/hostname") or socket.gethostname()


def cloud_metadata(root: Path) -> dict[str, str]:
    """Cloud, manufacturer and model as the firmware (DMI) names them."""
    folder = root / "sys/class/dmi/id"
    vendor = _text(folder / "sys_vendor")
    return {"provider": _CLOUDS.get(vendor.lower(), ""), "manufacturer": vendor, "model": _text(folder / "product_name")}


def _hardware(root: Path) -> dict[str, Any]:
    memory = 0
    for line in _own_or_host(root, "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) * 1024
    sockets: dict[str, dict[str, Any]] = {}
    model, package = "", "0"
    for line in [*_own_or_host(root, "proc/cpuinfo").splitlines(), ""]:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()[:LONGEST]
        elif key.strip() == "physical id":
            package = value.strip()
        elif not line.strip() and model:
            sockets.setdefault(package, {"name": model, "numberOfCores": 0})["numberOfCores"] += 1
            model, package = "", "0"
    processors = list(sockets.values())[:MOST] or [{"name": platform.machine(), "numberOfCores": os.cpu_count() or 1}]
    return {"totalPhysicalMemoryInBytes": memory, "numberOfCpuSockets": len(processors), "processors": processors}


def _interfaces(root: Path) -> list[dict[str, Any]]:
    folder = root / "sys/class/net"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    rows = []
    for name in names:
        if name == "lo":
            continue
        address = _address(name)
        row: dict[str, Any] = {"name": name, "macAddress": _text(folder / name / "address"), "ipAddresses": []}
        if address:
            row["ipAddresses"] = [{"address": address, "ipAddressVersion": "IPv4"}]
        rows.append(row)
    return rows[:MOST]


def _address(name: str) -> str:
    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
        except OSError:
            return ""


def _own_or_host(root: Path, name: str) -> str:
    return _text(root / name) or _text(Path("/") / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
