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
from tests.support.waiting import LOADED, until


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
    outputs, pems, certs = [], [], root / "var/opt/azcmagent/certs"

    def run(*argv: str, code: int = 0) -> str:
        done = subprocess.run([sys.executable, "-m", "isthmus_agent", *argv], env=environ, capture_output=True, check=False)
        assert done.returncode == code, done.stdout
        outputs.append(done.stdout + done.stderr)
        return done.stdout.decode()

    def identity_key() -> str:
        return str(json.loads((certs.parent / "agentconfig.json").read_text())["identityKey"])

    machine = tls.plane.register(run("genkey").strip())
    pems.append((certs / "genPrivateKey.pem").read_bytes())
    run(*CONNECT)
    first, first_key = machine.public, identity_key()
    tls.plane.wants_renewal = True
    service = subprocess.Popen(
        [sys.executable, "-m", "isthmus_agent", "service", "run"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def has_renewed() -> bool:
        """The agent has saved what the plane accepted, and removed the key that it used before."""
        assert service.poll() is None
        return identity_key() != first_key and [path.name for path in certs.iterdir()] == [identity_key()]

    until(has_renewed, 20, pause=0.02, what="the renewal has ended")
    service.terminate()
    outputs.append(service.communicate(timeout=10 * LOADED)[0])
    run("show")
    run("show", "-j")
    run("check")
    pems.append((certs / identity_key()).read_bytes())
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
    for path in certs.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert [path.name for path in certs.iterdir()] == [identity_key()]


def test_the_traces_would_find_a_leak(tmp_path: Path) -> None:
    pem = Key.generate().pem()
    der = serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    for leak in (pem, der, base64.b64encode(der), base64.urlsafe_b64encode(der), der.hex().encode()):
        assert any(trace in leak for trace in traces(pem))
