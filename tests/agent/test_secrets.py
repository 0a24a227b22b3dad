"""Private key material is in the key files and nowhere else: not in output, logs, arguments, other files or what is sent."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from isthmus_agent.keys import Key
from isthmus_agent.paths import Paths
from isthmus_agent.store import Store
from tests.agent.fake_plane import CONNECT, VM_ID, TlsPlane


def traces(pem: bytes) -> list[bytes]:
    """Pieces that any copy of the private key would contain, in the encodings a leak would have."""
    key = serialization.load_pem_private_key(pem[pem.find(b"-----BEGIN") :], None)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    secret = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.p, numbers.q, numbers.d)]
    lines = pem[pem.find(b"-----BEGIN") :].splitlines()
    found = [b"PRIVATE KEY", lines[5], lines[15]]
    for part in secret:
        middle = part[30:60]
        found += [middle, middle.hex().encode()]
        found += [base64.b64encode(part[start : start + 60])[4:-8] for start in (30, 31, 32)]
        found += [base64.urlsafe_b64encode(part[start : start + 60])[4:-8] for start in (30, 31, 32)]
    return found


class Arguments(threading.Thread):
    """Collects the command lines of all processes while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.005):
            for name in os.listdir("/proc"):
                if name.isdigit():
                    try:
                        self.seen.add(Path(f"/proc/{name}/cmdline").read_bytes())
                    except OSError:
                        continue


@pytest.mark.slow
def test_the_private_key_is_nowhere_but_in_its_file(environ: dict[str, str], tls: TlsPlane, root: Path) -> None:
    watcher = Arguments()
    watcher.start()
    outputs, pems = [], []

    def run(*argv: str, code: int = 0) -> str:
        done = subprocess.run([sys.executable, "-m", "isthmus_agent", *argv], env=environ, capture_output=True, check=False)
        assert done.returncode == code, done.stdout
        outputs.append(done.stdout + done.stderr)
        return done.stdout.decode()

    machine = tls.plane.register(run("genkey").strip())
    pems.append((root / "var/opt/azcmagent/certs/genPrivateKey.pem").read_bytes())
    run(*CONNECT)
    tls.plane.wants_renewal = True
    service = subprocess.Popen(
        [sys.executable, "-m", "isthmus_agent", "service", "run"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    first = machine.public
    deadline = 200
    while machine.public == first and (deadline := deadline - 1):
        service_ended = service.poll()
        assert service_ended is None
        threading.Event().wait(0.05)
    threading.Event().wait(0.2)
    service.terminate()
    outputs.append(service.communicate(timeout=5)[0])
    run("show")
    run("show", "-j")
    run("check")
    config = json.loads((root / "var/opt/azcmagent/agentconfig.json").read_text())
    pems.append((root / "var/opt/azcmagent/certs" / config["identityKey"]).read_bytes())
    connection = Store(Paths(root=root)).connection()
    watcher.ended.set()
    watcher.join()

    assert tls.plane.machines[VM_ID].public != first, "the renewal did not happen"
    haystacks = {"output": b"\n".join(outputs), "arguments": b"\n".join(watcher.seen), "requests": repr(tls.plane.requests).encode()}
    haystacks["repr"] = repr((Key.from_pem(pems[0]), connection)).encode()
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name != "certs":
            haystacks[str(path)] = path.read_bytes()
    assert any("azcmagent.log" in name for name in haystacks)
    assert any("himds.log" in name for name in haystacks)
    for pem in pems:
        for trace in traces(pem):
            for name, hay in haystacks.items():
                assert trace not in hay, f"private key material in {name}"
    for path in (root / "var/opt/azcmagent/certs").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert [path.name for path in (root / "var/opt/azcmagent/certs").iterdir()] == [config["identityKey"]]


def test_the_traces_would_find_a_leak(tmp_path: Path) -> None:
    pem = Key.generate().pem()
    der = serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    for leak in (pem, der, base64.b64encode(der), base64.urlsafe_b64encode(der), der.hex().encode()):
        assert any(trace in leak for trace in traces(pem))
