"""After a demo no private key, token or AWS secret lies anywhere but in key folders: searched for by form and by the real values."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import MetaData, create_engine, text

from isthmus.client import Client, choose_token, find_server
from isthmus_lab.environment import root_credentials
from isthmus_lab.process import admin_call
from tests.e2e.needles import Find, Search, key_forms, text_forms
from tests.e2e.stack import clean_environ
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CONNECTORS = "providers/Microsoft.HybridConnectivity/publicCloudConnectors"
REGIONS = ("eu-central-1", "us-east-1", "eu-west-1")


@dataclass(kw_only=True)
class Demo:
    """A demo that stays up on a terminal, and what it printed there."""

    folder: Path
    child: subprocess.Popen[bytes]
    figures: dict[str, Any]
    printed: bytearray = field(default_factory=bytearray)

    def stop(self) -> int:
        """Ctrl-C, and the exit code. One that does not listen is killed with everything it started."""
        self.child.send_signal(signal.SIGINT)
        try:
            return self.child.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            raise


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`isthmus demo` on a pseudo-terminal, at the point where it waits for Ctrl-C."""
    folder = tmp_path_factory.mktemp("shown") / "demo"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "isthmus", "demo", "--machines", "6", "--folder", str(folder)]
    environ = {**clean_environ(folder.parent), "TERM": "xterm", "COLUMNS": "200"}
    child = subprocess.Popen(
        command,
        env=environ,
        cwd=folder.parent,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Shells start background jobs deaf to Ctrl-C, and whoever runs these tests in the background passes that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    made = Demo(folder=folder, child=child, figures={})
    reader = threading.Thread(target=_read, args=(ours, made.printed))
    reader.start()
    try:
        until(lambda: b"Ctrl-C stops everything" in made.printed or child.poll() is not None, 200, what="the demo is through")
        assert child.poll() is None, made.printed.decode(errors="replace")
        made.figures.update(json.loads(folder.with_name("demo.json").read_text()))
        yield made
    finally:
        if child.poll() is None:
            made.stop()
        reader.join(10)
        os.close(ours)


def _read(descriptor: int, into: bytearray) -> None:
    while True:
        try:
            into += os.read(descriptor, 65536)
        except OSError:  # the terminal is gone with its last process
            return


def real_secrets(demo: Demo, minted: dict[str, str]) -> dict[str, set[bytes]]:
    """Every secret that exists at this moment, by what it is."""
    found: dict[str, set[bytes]] = {}
    data, lab = demo.folder / "data", demo.folder / "lab"
    for path in [*data.rglob("*.pem"), *lab.rglob("*.pem")]:
        content = path.read_bytes()
        if b"PRIVATE KEY" in content:
            start = content.index(b"-----BEGIN", max(0, content.index(b"PRIVATE KEY") - 30))
            end = content.index(b"-----\n", content.index(b"-----END", start)) + 6
            found[f"the private key of {path.relative_to(demo.folder)}"] = key_forms(content[start:end])
    for number, session in enumerate(admin_call(demo.figures["urls"]["lab"], "GET", "/_lab/sessions")["sessions"]):
        found[f"the secret key of AWS session {number}"] = text_forms(session["secret"])
        found[f"the token of AWS session {number}"] = text_forms(session["token"])
    return found | {name: text_forms(value) for name, value in minted.items()}


def database(url: str) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, of the product and of the durable engine, as one text with its name."""
    engine = create_engine(url)
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        for name in metadata.tables:
            for number, row in enumerate(connection.execute(text(f'select * from "{name}"'))):
                yield f"{name}[{number}]", b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    engine.dispose()


def history(url: str, account: str) -> Iterator[tuple[str, bytes]]:
    """Everything that Systems Manager remembers: commands, their output on each machine, documents."""
    for region in REGIONS:
        ssm = boto3.client("ssm", region_name=region, endpoint_url=url, **root_credentials(account))
        for operation, key, extra in (
            ("list_commands", "Commands", {}),
            ("list_command_invocations", "CommandInvocations", {"Details": True}),
            ("list_documents", "DocumentIdentifiers", {"Filters": [{"Key": "Owner", "Values": ["Self"]}]}),
        ):
            for page in ssm.get_paginator(operation).paginate(**extra):
                for row in page[key]:
                    yield f"{region} {operation}", json.dumps(row, default=str).encode()
                    if operation == "list_documents":
                        content = ssm.get_document(Name=row["Name"])["Content"]
                        yield f"{region} document {row['Name']}", content.encode()


def mint(demo: Demo) -> dict[str, str]:
    """Make what is secret by nature and shown once: a client's secret, a sign-in link; answers them by name."""
    place = find_server(demo.folder / "data", "", {})
    cache = {"XDG_CACHE_HOME": str(demo.folder.parent / "cache")}
    token = choose_token(place, cache, time.time)
    with Client(place.url, token, verify=place.ca) as client:
        connector = next(client.list(f"/subscriptions/{place.subscription}/{CONNECTORS}"))
        client.wait(client.post(f"{connector['id']}/testPermissions"))
        link = client.post("/providers/Isthmus.Identity/signInLinks").body["url"]
        return {"our own access token": token(), "a sign-in link": link.partition("#")[2]}


def test_nothing_secret_is_left_anywhere(demo: Demo) -> None:
    minted = mint(demo)
    secrets = real_secrets(demo, minted)
    machines = [name for name in secrets if "/machines/" in name]
    sessions = [name for name in secrets if "AWS session" in name]
    assert len(machines) >= 6
    assert len(sessions) >= 4
    search, data = Search(secrets), demo.folder / "data"
    rows = list(database(f"sqlite:///{data / 'isthmus.db'}"))
    remembered = list(history(demo.figures["urls"]["lab"], demo.figures["account"]))
    read, found = search.look_at_files(data, without=[data / "keys"])
    logs = [demo.folder / "serve.log", demo.folder / "lab" / "lab.log"]
    for place, content in [*rows, *remembered, *((str(log), log.read_bytes()) for log in logs), ("terminal", bytes(demo.printed))]:
        found += search.look(place, content)
    assert not found, "\n".join(f"{one.place}: {one.what}: {one.text!r}" for one in found[:20])
    tables = {place.partition("[")[0] for place, _ in rows}
    assert {"resources", "operations", "audit_records", "registrations", "instances", "workflow_status", "operation_outputs"} <= tables
    assert data / "isthmus.db" in read
    assert all(log.stat().st_size for log in logs[:1])
    assert sum(b"BEGIN ISTHMUS KEY" in content for _, content in remembered) >= 6
    assert all(path.stat().st_mode & 0o077 == 0 for path in (data / "keys").rglob("*") if path.is_file())
    assert demo.stop() == 0


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encodings = serialization.Encoding, serialization.PrivateFormat, serialization.NoEncryption()
    pem, der, traditional, pkcs8, none = (
        encodings[0].PEM,
        encodings[0].DER,
        encodings[1].TraditionalOpenSSL,
        encodings[1].PKCS8,
        encodings[2],
    )
    needles = {"key": key_forms(key.private_bytes(pem, traditional, none)), "session": text_forms("s3cr3t/" * 6)}
    prime = key.private_numbers().p.to_bytes(128, "big")
    hidden = {
        "pem": key.private_bytes(pem, pkcs8, none),
        "pkcs1": base64.b64encode(key.private_bytes(der, traditional, none)),
        "pkcs8": base64.urlsafe_b64encode(key.private_bytes(der, pkcs8, none)),
        "shifted": base64.b64encode(b"xy" + key.private_bytes(der, pkcs8, none)),
        "raw": b"\x00\x01" + key.private_bytes(der, traditional, none) + b"\x00",
        "prime": prime.hex().encode(),
        "number": json.dumps({"d": key.private_numbers().d}).encode(),
        "token": b'{"t":"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwcyJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"}',
        "secret": b"aws_secret_access_key=" + b"s3cr3t/" * 6,
        "secret in base64": base64.b64encode(b"{" + b"s3cr3t/" * 6),
    }
    search = Search(needles)
    for name, content in hidden.items():
        (tmp_path / name.replace(" ", "-")).write_bytes(b"before " + content + b" after")
        path = tmp_path / f"{name}.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("create table kept (id integer, value blob)"))
            connection.execute(text("insert into kept values (1, :value)"), {"value": content})
        engine.dispose()
        in_rows = [find for place, row in database(f"sqlite:///{path}") for find in search.look(place, row)]
        assert in_rows, name
    read, found = search.look_at_files(tmp_path)
    assert {Path(one.place).name.removesuffix(".db").replace("-", " ") for one in found} == set(hidden)
    assert len(read) == 2 * len(hidden)
    public = key.public_key().public_bytes(der, serialization.PublicFormat.PKCS1)
    assert list(search.look("public", base64.b64encode(public))) == []
    certificate = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert not list[Find](search.look("public", certificate))
