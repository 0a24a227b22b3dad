"""Facts come from the machine's own root where it has them, and from the kernel where it has not."""

from __future__ import annotations

from pathlib import Path

from isthmus_agent import VERSION
from isthmus_agent.facts import gather, os_release


def test_facts_of_a_root(root: Path) -> None:
    for name, text in {
        "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
        "sys/class/dmi/id/product_name": "t3.micro\n",
        "sys/class/dmi/id/product_uuid": "ec2e1916-9099-7caf-fd21-012345abcdef\n",
        "sys/class/net/ens5/address": "02:00:00:00:00:01\n",
        "sys/class/net/lo/address": "00:00:00:00:00:00\n",
        "proc/sys/kernel/osrelease": "6.1.0-test\n",
        "proc/meminfo": "MemTotal:        4194304 kB\nMemFree: 1 kB\n",
        "proc/cpuinfo": "processor : 0\nmodel name : Xeon\nphysical id : 0\n\nprocessor : 1\nmodel name : Xeon\nphysical id : 1\n\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts = gather(root)
    assert (facts["osName"], facts["osVersion"], facts["osSku"]) == ("linux", "6.1.0-test", "Amazon Linux 2023")
    assert (facts["machineFqdn"], facts["displayName"]) == ("ip-10-0-0-7.eu-west-1.compute.internal", "ip-10-0-0-7")
    assert facts["agentVersion"] == VERSION
    assert facts["vmUuid"].startswith("ec2")
    detected = facts["detectedProperties"]
    assert (detected["cloudprovider"], detected["manufacturer"], detected["model"]) == ("AWS", "Amazon EC2", "t3.micro")
    assert (detected["totalPhysicalMemoryInGigabytes"], detected["processorCount"], detected["coreCount"]) == ("4", "2", "2")
    assert facts["hardwareProfile"]["processors"] == [{"name": "Xeon", "numberOfCores": 1}] * 2
    assert facts["networkProfile"]["networkInterfaces"] == [{"name": "ens5", "macAddress": "02:00:00:00:00:01", "ipAddresses": []}]


def test_an_empty_root_still_has_facts(tmp_path: Path) -> None:
    facts = gather(tmp_path)
    assert facts["osVersion"]
    assert facts["machineFqdn"]
    assert facts["hardwareProfile"]["totalPhysicalMemoryInBytes"] > 0
    assert facts["networkProfile"] == {"networkInterfaces": []}


def test_os_release_is_unquoted(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("# comment\nID=debian\nNAME='Debian'\nPRETTY_NAME=\"Debian 12\"\n\n")
    assert os_release(tmp_path) == {"ID": "debian", "NAME": "Debian", "PRETTY_NAME": "Debian 12"}
