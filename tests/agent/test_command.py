"""The verbs as a script drives them: output, exit codes, files, against a control plane over TLS."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from isthmus_agent import connect
from isthmus_agent.command import main
from isthmus_agent.paths import Paths
from isthmus_agent.store import Store
from tests.agent.fake_plane import CONNECT, RESOURCE_ID, VM_ID, TlsPlane

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus_agent.command.time.sleep", lambda seconds: None)


def genkey(environ: dict[str, str], capsys: Capture) -> str:
    capsys.readouterr()
    assert main(["genkey"], environ) == 0
    return capsys.readouterr().out.strip()


def connected(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> str:
    public = genkey(environ, capsys)
    tls.plane.register(public)
    assert main(CONNECT, environ) == 0, capsys.readouterr().out
    capsys.readouterr()
    return public


def test_genkey_prints_one_line_of_pkcs1(environ: dict[str, str], capsys: Capture, root: Path) -> None:
    assert main(["genkey"], environ) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("MIIBCgKCAQEA")
    assert len(out.strip()) == 360
    key = serialization.load_der_public_key(base64.b64decode(out))
    assert isinstance(key, rsa.RSAPublicKey)
    assert (key.key_size, key.public_numbers().e) == (2048, 65537)
    assert stat.S_IMODE((root / "var/opt/azcmagent/certs/genPrivateKey.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "var/opt/azcmagent/certs").stat().st_mode) == 0o700


def test_genkey_repeats_itself_within_a_generation_only(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    first = genkey(environ, capsys)
    assert genkey(environ, capsys) == first
    tls.plane.register(first)
    assert main(CONNECT, environ) == 0
    capsys.readouterr()
    assert genkey(environ, capsys) == first  # the answer was lost, asked again after connect
    assert genkey(environ | {"ISTHMUS_GENERATION": "2"}, capsys) != first


def test_genkey_json(environ: dict[str, str], capsys: Capture) -> None:
    assert main(["genkey", "-j"], environ) == 0
    assert json.loads(capsys.readouterr().out)["publicKey"].startswith("MIIBCgKCAQEA")


def test_connect_enrols_and_keeps_one_key(environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path) -> None:
    connected(environ, tls, capsys)
    machine = tls.plane.machines[VM_ID]
    assert machine.enrolled
    assert machine.facts["machineFqdn"] == "ip-10-0-0-7.eu-west-1.compute.internal"
    assert machine.facts["osSku"] == "Amazon Linux 2023"
    config = json.loads((root / "var/opt/azcmagent/agentconfig.json").read_text())
    assert config["resourceId"] == RESOURCE_ID
    assert config["ca"] == tls.ca
    keys = os.listdir(root / "var/opt/azcmagent/certs")
    assert keys == [config["identityKey"]]


def test_connect_twice_is_done_already(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    connected(environ, tls, capsys)
    calls = len(tls.plane.requests)
    assert main(CONNECT, environ) == 0
    assert len(tls.plane.requests) == calls


@pytest.mark.parametrize("lost", ["challenge", "enrol"])
def test_a_lost_answer_is_asked_for_again(environ: dict[str, str], tls: TlsPlane, capsys: Capture, lost: str) -> None:
    tls.dropped = [lost]
    connected(environ, tls, capsys)
    assert [path for path, _ in tls.plane.requests if path.endswith(lost)] == [f"/agent/v1/{lost}"] * 2


def test_another_connection_is_never_overwritten(environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path) -> None:
    connected(environ, tls, capsys)
    before = (root / "var/opt/azcmagent/agentconfig.json").read_bytes()
    other = [argument.replace("i-0abc", "i-0def") for argument in CONNECT]
    genkey(environ | {"ISTHMUS_GENERATION": "2"}, capsys)
    assert main(other, environ) == 67
    out = capsys.readouterr().out
    assert "AZCM0067" in out
    assert RESOURCE_ID in out
    assert (root / "var/opt/azcmagent/agentconfig.json").read_bytes() == before


def test_a_resource_that_was_registered_anew_replaces_its_old_self_only(
    environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path
) -> None:
    connected(environ, tls, capsys)
    fresh = "bbbbbbbb-0000-4000-8000-000000000003"
    again = [fresh if argument == VM_ID else argument for argument in CONNECT]
    second = environ | {"ISTHMUS_GENERATION": "2"}
    public = genkey(second, capsys)
    assert main(again, second | {"ISTHMUS_ENDPOINT": "https://127.0.0.1:1"}) == 67  # another control plane's idea of it
    assert main(again, second) == 62  # not registered: the old identity stays
    present = Store(Paths(root=root)).connection()
    assert present
    assert present.vm_id == VM_ID
    tls.plane.register(public, fresh)
    assert main(again, second) == 0
    replaced = Store(Paths(root=root)).connection()
    assert replaced
    assert replaced.vm_id == fresh
    third = "cccccccc-0000-4000-8000-000000000003"
    tls.plane.register(genkey(second, capsys), third)  # the generation did not change: the key in use is offered again
    assert main([third if argument == VM_ID else argument for argument in CONNECT], second) == 0
    assert len(list((root / "var/opt/azcmagent/certs").iterdir())) == 1


def test_a_new_generation_enrols_again(environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path) -> None:
    first = connected(environ, tls, capsys)
    second_environ = environ | {"ISTHMUS_GENERATION": "2"}
    second = genkey(second_environ, capsys)
    tls.plane.register(second)
    assert main(CONNECT, second_environ) == 0
    assert second != first
    store = Store(Paths(root=root))
    connection = store.connection()
    assert connection
    assert store.key(connection.identity_key).public == second
    assert len(list((root / "var/opt/azcmagent/certs").iterdir())) == 1


def test_failures_have_the_official_exit_codes(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    assert main(CONNECT, environ) == 104  # no saved key
    public = genkey(environ, capsys)
    assert main(CONNECT, environ) == 62  # not registered
    assert "MachineNotRegistered" in capsys.readouterr().out
    tls.plane.register(genkey(environ | {"ISTHMUS_AGENT_ROOT": environ["ISTHMUS_AGENT_ROOT"] + "/other"}, capsys))
    assert main(CONNECT, environ) == 81  # another key is registered
    tls.plane.register(public)
    tls.plane.refuse = {"challenge": [(503, "Busy")] * connect.ATTEMPTS}
    assert main(CONNECT, environ) == 26
    assert main(CONNECT, {key: value for key, value in environ.items() if key != "ISTHMUS_ENDPOINT"}) == 75
    assert main(CONNECT, environ | {"ISTHMUS_ENDPOINT": "http://127.0.0.1:80"}) == 75
    assert main(CONNECT, environ | {"ISTHMUS_ENDPOINT": "https://127.0.0.1:1"}) == 26
    assert main(CONNECT, environ | {"ISTHMUS_CA": "%%%"}) == 75
    assert main(CONNECT, environ | {"ISTHMUS_GENERATION": "one"}) == 75
    tls.plane.refuse = {"challenge": [(503, "Busy")]}
    assert main(CONNECT, environ) == 0  # one hiccup is survived


def test_only_the_given_ca_is_trusted(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    tls.plane.register(genkey(environ, capsys))
    assert main(CONNECT, environ | {"ISTHMUS_CA": ""}) == 26
    assert "certificate that is not trusted" in capsys.readouterr().out
    assert tls.plane.requests == []


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["frobnicate"],
        ["connect"],
        ["connect", "existing", "--use-saved-key"],
        [*CONNECT, "--vmid", "not-a-guid"],
        [*CONNECT, "--resource-group", "a/b"],
        [*CONNECT, "--cloud", "MoonCloud"],
        ["genkey", "--surprise"],
        ["show", "No Such Property"],
    ],
)
def test_bad_arguments(environ: dict[str, str], capsys: Capture, argv: list[str]) -> None:
    assert main(argv, environ) == 23
    assert capsys.readouterr().out.startswith("AZCM0023: ")


@pytest.mark.parametrize("argument", [["--private-key", "TOPSECRET"], ["--private-key=TOPSECRET"]])
def test_a_private_key_on_the_command_line_is_refused(environ: dict[str, str], capsys: Capture, root: Path, argument: list[str]) -> None:
    assert main([*CONNECT, *argument], environ) == 23
    captured = capsys.readouterr()
    assert "--private-key is refused" in captured.out
    assert "TOPSECRET" not in captured.out + captured.err
    logs = root / "var/opt/azcmagent/log/azcmagent.log"
    assert not logs.exists() or "TOPSECRET" not in logs.read_text()


def test_show(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    connected(environ, tls, capsys)
    assert main(["show"], environ) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Resource Name".ljust(40) + ": i-0abc"
    assert [line[:40].strip() for line in lines[:4]] == ["Resource Name", "Resource Group Name", "Resource Namespace", "Resource Id"]
    assert main(["show", "-j"], environ) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["resourceId"], shown["vmId"], shown["status"]) == (RESOURCE_ID, VM_ID, "Disconnected")
    assert main(["show", "Agent Status", "vmId"], environ) == 0
    assert capsys.readouterr().out == f"{'VM ID':<40}: {VM_ID}\n{'Agent Status':<40}: Disconnected\n"


def test_check(environ: dict[str, str], tls: TlsPlane, capsys: Capture) -> None:
    assert main(["check"], environ) == 0
    assert "Reachable" in capsys.readouterr().out
    assert main(["check"], environ | {"ISTHMUS_CA": ""}) == 26
    assert main(["check"], {"ISTHMUS_AGENT_ROOT": environ["ISTHMUS_AGENT_ROOT"]}) == 75


def test_disconnect(environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path) -> None:
    assert main(["disconnect"], environ) == 0
    connected(environ, tls, capsys)
    tls.plane.refuse = {"disconnect": [(500, "Broken")]}
    assert main(["disconnect"], environ) == 63
    assert (root / "var/opt/azcmagent/agentconfig.json").exists()
    assert main(["disconnect"], environ) == 0
    assert tls.plane.requests[-1][0] == "/agent/v1/disconnect"
    assert not (root / "var/opt/azcmagent/agentconfig.json").exists()
    assert list((root / "var/opt/azcmagent/certs").iterdir()) == []


def test_disconnect_locally_needs_nobody(environ: dict[str, str], tls: TlsPlane, capsys: Capture, root: Path) -> None:
    connected(environ, tls, capsys)
    calls = len(tls.plane.requests)
    (root / "var/opt/azcmagent/agentconfig.json").write_text("{broken")
    assert main(["show"], environ) == 70
    assert main(["disconnect"], environ) == 70
    assert main(["disconnect", "--force-local-only"], environ) == 0
    assert len(tls.plane.requests) == calls
    assert list((root / "var/opt/azcmagent/certs").iterdir()) == []
