"""The SSM document: no parameter can carry shell syntax, and the Linux script does what its exit codes promise, in a real shell."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clouds.aws.template.document import (
    EXIT_CODES,
    KEY_BEGIN,
    KEY_END,
    PARAMETERS,
    check_parameters,
    document,
    document_hash,
    document_text,
    same_content,
)
from isthmus.machines import publickey

GUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
SELF = "i-0123456789abcdef0"
VALUES = {
    "action": "connect",
    "endpoint": "https://127.0.0.1:8443",
    "ca": base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + b"x" * 2000).decode(),
    "generation": "3",
    "subscriptionId": GUID,
    "resourceGroup": "aws_123456789012",
    "location": "eastus",
    "tenantId": GUID.upper(),
    "machines": ";".join(f"i-{number:017x}={GUID}" for number in range(49)) + f";{SELF}={GUID}",
    "correlationId": GUID,
    "proxy": "http://proxy.example.org:3128",
}
SHELL = "'\"`$\\;|&<>(){}[]!*?~#\n\r\t \x00"


def fullmatch(name: str, value: str) -> bool:
    pattern = next(parameter.pattern for parameter in PARAMETERS if parameter.name == name)
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    return re.fullmatch(pattern[1:-1], value) is not None


def test_schema_and_platforms() -> None:
    made = document()
    assert made["schemaVersion"] == "2.2"
    assert [(step["action"], step["precondition"]["StringEquals"]) for step in made["mainSteps"]] == [
        ("aws:runShellScript", ["platformType", "Linux"]),
        ("aws:runPowerShellScript", ["platformType", "Windows"]),
    ]
    assert made["mainSteps"][0]["inputs"]["runCommand"][0] == "#!/bin/sh"
    assert len(document_text()) < 64 * 1024
    assert (KEY_BEGIN, KEY_END) == (publickey.KEY_BEGIN, publickey.KEY_END)


def test_good_values_pass() -> None:
    check_parameters(VALUES)
    check_parameters({"action": "genkey", "endpoint": "https://isthmus.example.org", "generation": "1"})


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_no_pattern_admits_a_character_that_leaves_single_quotes(parameter: Any) -> None:
    good = VALUES[parameter.name]
    for character in SHELL:
        for value in (character, good + character, character + good, good[: len(good) // 2] + character + good[len(good) // 2 :]):
            if fullmatch(parameter.name, value):
                # A value of its own grammar, none of which means anything between single quotes.
                assert (parameter.name, character) in {("resourceGroup", "("), ("resourceGroup", ")")}


@given(name=st.sampled_from([parameter.name for parameter in PARAMETERS]), data=st.data())
def test_whatever_a_pattern_admits_is_safe_between_quotes_of_both_shells(name: str, data: st.DataObject) -> None:
    pattern = next(parameter.pattern for parameter in PARAMETERS if parameter.name == name)
    value = data.draw(st.from_regex(pattern[1:-1], fullmatch=True))
    assert not set(value) & set("'\"`$\\|&<>{}[]!*?~#\n\r\t \x00")
    assert value.isascii()


@given(name=st.sampled_from([parameter.name for parameter in PARAMETERS]), evil=st.text(min_size=1, max_size=20), data=st.data())
def test_injected_text_is_refused(name: str, evil: str, data: st.DataObject) -> None:
    shell = data.draw(st.sampled_from(["';", "$(", "`", '"', "\n", "' ", "\\", "|", "&&", "}}", "{{"]))
    with pytest.raises(ValueError, match=name):
        check_parameters(VALUES | {name: VALUES[name] + shell + evil})


def test_refusals_name_the_parameter() -> None:
    with pytest.raises(ValueError, match="'generation'"):
        check_parameters({"action": "genkey", "endpoint": "https://x.test"})
    with pytest.raises(ValueError, match="no parameter 'command'"):
        check_parameters(VALUES | {"command": "id"})
    with pytest.raises(ValueError, match="'machines'"):
        check_parameters(VALUES | {"machines": VALUES["machines"] + f";i-00000000={GUID}"})
    with pytest.raises(ValueError, match="'endpoint'"):
        check_parameters(VALUES | {"endpoint": "http://127.0.0.1"})
    with pytest.raises(ValueError, match="'endpoint'"):
        check_parameters(VALUES | {"endpoint": VALUES["endpoint"] + "\n"})


def test_every_value_in_the_scripts_stands_between_quotes() -> None:
    scripts = ["\n".join(step["inputs"]["runCommand"]) for step in document()["mainSteps"]]
    for script in scripts:
        used = set(re.findall(r"{{ (\w+) }}", script))
        assert used == {parameter.name for parameter in PARAMETERS}
        for line in script.splitlines():
            without = re.sub(r"'{{ \w+ }}'", "", line)
            without = re.sub(r'(ours ?= ?)"/subscriptions/{{ subscriptionId }}/resourceGroups/{{ resourceGroup }}/[^"]*"', r"\1", without)
            assert "{{" not in without, line
        assert "--private-key" not in script


def test_the_hash_is_of_the_text_and_equal_content_is_recognised_however_it_is_formatted() -> None:
    assert re.fullmatch("[0-9a-f]{64}", document_hash())
    assert document_hash() == document_hash()
    assert same_content(document_text())
    assert same_content(json.dumps(document(), indent=4, sort_keys=True))
    assert not same_content(json.dumps(document() | {"description": "other"}))
    assert not same_content("schemaVersion: '2.2'")
    assert not same_content(document_text()[:-1] + ',"mainSteps":' + json.dumps(document()["mainSteps"]) + "}")


AGENT = r"""#!/bin/sh
echo "$ISTHMUS_ENDPOINT|$ISTHMUS_GENERATION|$HTTPS_PROXY|$*" >> "$LOG"
case "$1" in
  genkey) printf '%s' "$GENKEY"; exit "${CODE:-0}" ;;
  show) printf '{"status":"Connected",\n "resourceId" : "%s"}' "$RESOURCE" ;;
  connect) seq 1 2000; echo end of connect; exit "${CODE:-0}" ;;
esac
"""


class Machine:
    """A Linux machine of one folder, on which the document's script runs in a real shell with a stand-in for azcmagent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "calls"
        self.log.touch()
        (root / "bin").mkdir()
        self.agent = root / "bin" / "azcmagent"
        self.agent.write_text(AGENT, encoding="utf-8")
        self.agent.chmod(0o755)

    def run(self, *, instance: str = SELF, environ: dict[str, str] | None = None, **values: str) -> tuple[int, str]:
        script = "\n".join(document()["mainSteps"][0]["inputs"]["runCommand"])
        given = {parameter.name: parameter.default or "" for parameter in PARAMETERS} | VALUES | values
        for name, value in given.items():
            script = script.replace("{{ " + name + " }}", value)
        path = self.root / "_script.sh"
        path.write_text(script, encoding="utf-8")
        path.chmod(0o700)
        base = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "LOG": str(self.log), "ISTHMUS_AGENT_ROOT": str(self.root)}
        done = subprocess.run(
            ["sh", "-c", str(path)],
            env=base | {"AWS_SSM_INSTANCE_ID": instance} | (environ or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_genkey_prints_the_key_between_the_sentinels(machine: Machine) -> None:
    assert machine.run(action="genkey", environ={"GENKEY": "MIIB"}) == (0, f"{KEY_BEGIN}\nMIIB\n{KEY_END}\n")
    assert machine.calls()[-1] == "https://127.0.0.1:8443|3|http://proxy.example.org:3128|genkey"
    assert machine.calls()[0].endswith("config set proxy.url http://proxy.example.org:3128")


def test_without_a_proxy_none_is_set(machine: Machine) -> None:
    machine.run(action="genkey", proxy="", environ={"GENKEY": "MIIB"})
    assert machine.calls() == ["https://127.0.0.1:8443|3||genkey"]


def test_connect_passes_this_machines_vm_id_and_keeps_the_end_of_a_long_output(machine: Machine) -> None:
    other = GUID.replace("3f", "aa")
    code, output = machine.run(proxy="", machines=f"i-00000000000000001={other};{SELF}={GUID}")
    assert code == 0
    assert output.endswith("end of connect\n")
    assert len(output) <= 1800
    (call,) = machine.calls()
    assert call.split("|")[-1] == (
        f"connect existing --subscription-id {GUID} --resource-group aws_123456789012 --resource-name {SELF} --location eastus "
        f"--tenant-id {GUID.upper()} --vmid {GUID} --use-saved-key --correlation-id {GUID}"
    )


def test_without_a_correlation_id_the_flag_is_left_out(machine: Machine) -> None:
    machine.run(proxy="", correlationId="")
    assert machine.calls()[0].endswith("--use-saved-key")


@pytest.mark.parametrize("action", ["genkey", "connect"])
def test_the_agents_own_exit_code_comes_through(machine: Machine, action: str) -> None:
    assert machine.run(action=action, environ={"CODE": "62", "GENKEY": "failed"})[0] == 62


def test_exit_codes_of_our_own(machine: Machine) -> None:
    assert machine.run(action="genkey", environ={"GENKEY": ""})[0] == 202
    assert machine.run(machines=f"i-00000000000000001={GUID}")[0] == 203
    assert machine.run(instance="")[0] == 204
    machine.agent.unlink()
    assert machine.run(action="genkey")[0] == 201
    assert set(EXIT_CODES) == {201, 202, 203, 204, 205}
    assert not {194, 3010} & set(EXIT_CODES)


@pytest.mark.parametrize("action", ["genkey", "connect"])
def test_a_machine_connected_elsewhere_is_left_alone_and_says_where(machine: Machine, action: str) -> None:
    (machine.root / "var/opt/azcmagent").mkdir(parents=True)
    (machine.root / "var/opt/azcmagent/agentconfig.json").write_text("{}", encoding="utf-8")
    theirs = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/m"
    assert machine.run(action=action, proxy="", environ={"RESOURCE": theirs}) == (205, f"connected elsewhere: {theirs}\n")
    assert [call.split("|")[-1] for call in machine.calls()] == ["show -j"]
    ours = f"/SUBSCRIPTIONS/{GUID.upper()}/resourceGroups/AWS_123456789012/providers/microsoft.hybridcompute/machines/{SELF}"
    assert machine.run(action=action, environ={"RESOURCE": ours, "GENKEY": "MIIB"})[0] == 0
    assert machine.run(action=action, environ={"RESOURCE": "", "GENKEY": "MIIB"})[0] == 0
