"""A small control plane for the agent's tests. It verifies every signature for real, with a JOSE library that the agent does not use."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from isthmus_agent.plane import Answer

SUBSCRIPTION = "aaaaaaaa-0000-4000-8000-000000000001"
TENANT = "aaaaaaaa-0000-4000-8000-000000000002"
VM_ID = "aaaaaaaa-0000-4000-8000-000000000003"
RESOURCE_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/aws_1/providers/Microsoft.HybridCompute/machines/i-0abc"
CONNECT = [
    "connect", "existing", "--subscription-id", SUBSCRIPTION, "--resource-group", "aws_1", "--resource-name", "i-0abc",
    "--location", "eastus", "--tenant-id", TENANT, "--vmid", VM_ID, "--use-saved-key",
]  # fmt: skip


@dataclass(kw_only=True)
class Registered:
    """A machine as the control plane knows it."""

    public: str
    resource_id: str = RESOURCE_ID
    client_id: str = "aaaaaaaa-0000-4000-8000-000000000004"
    next_public: str = ""
    enrolled: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    heartbeats: int = 0


class FakePlane:
    """The contract's calls over machines in memory. `wants_renewal`, `gone` and `refuse` steer it; `requests` records paths and bodies."""

    def __init__(self, endpoint: str = "https://plane.test", clock: Callable[[], float] = time.time) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.machines: dict[str, Registered] = {}
        self.nonces: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.statements: set[str] = set()
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.wants_renewal = False
        self.gone = False
        self.refuse: dict[str, list[tuple[int, str]]] = {}
        self.next_seconds: Any = 300

    def register(self, public: str, vm_id: str = VM_ID) -> Registered:
        self.machines[vm_id] = Registered(public=public)
        return self.machines[vm_id]

    def answer(self, path: str, body: Mapping[str, Any], bearer: str) -> tuple[int, dict[str, Any]]:
        self.requests.append((path, body))
        name = path.rsplit("/", 1)[-1]
        if self.refuse.get(name):
            status, code = self.refuse[name].pop(0)
            return status, {"error": {"code": code, "message": f"{code} was asked for."}}
        if name == "challenge":
            return self._challenge(body)
        if name == "enrol":
            return self._enrol(body)
        if name == "token":
            return self._token(body)
        vm_id = self.tokens.get(bearer)
        if vm_id is None:
            return 401, {"error": {"code": "InvalidAuthenticationToken", "message": "The token is not known."}}
        if self.gone:
            return 410, {"error": {"code": "MachineGone", "message": "The machine was removed."}}
        machine = self.machines[vm_id]
        if name == "heartbeat":
            machine.heartbeats += 1
            machine.facts = body["facts"]
            return 200, {"nextHeartbeatSeconds": self.next_seconds, "registrationExpiresAt": _in_days(90), "renew": self.wants_renewal}
        if name == "renew":
            return self._renew(machine, body, f"{self.endpoint}{path}")
        assert name == "disconnect"
        return 200, {}

    def _challenge(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["vmId"] not in self.machines:
            return 404, {"error": {"code": "MachineNotRegistered", "message": "No machine with this VM ID is registered."}}
        nonce = secrets.token_urlsafe(16)
        self.nonces[nonce] = str(body["vmId"])
        return 200, {"nonce": nonce, "expiresAt": _in_days(1)}

    def _enrol(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        statement = str(body["statement"])
        unverified = json.loads(_decode(statement.split(".")[1]))
        vm_id = self.nonces.pop(unverified["nonce"], None)
        if vm_id is None:
            return 400, {"error": {"code": "InvalidNonce", "message": "The nonce was used or never given out."}}
        machine = self.machines[vm_id]
        try:
            claims = self._verify(statement, machine.public, "isthmus-enrol+jwt", f"{self.endpoint}/agent/v1/enrol")
        except JoseError:
            return 409, {"error": {"code": "KeyMismatch", "message": "Another key is registered."}}
        assert claims["iss"] == claims["sub"] == vm_id
        assert claims["tenantId"] == TENANT
        assert claims["resourceId"] == machine.resource_id
        machine.enrolled, machine.facts = True, body["facts"]
        return 200, {
            "resourceId": machine.resource_id,
            "tenantId": TENANT,
            "clientId": machine.client_id,
            "principalId": "aaaaaaaa-0000-4000-8000-000000000005",
            "tokenEndpoint": f"{self.endpoint}/{TENANT}/oauth2/v2.0/token",
            "heartbeatSeconds": 300,
            "registrationExpiresAt": _in_days(90),
        }

    def _renew(self, machine: Registered, body: Mapping[str, Any], audience: str) -> tuple[int, dict[str, Any]]:
        public = str(body["publicKey"])
        claims = self._verify(str(body["statement"]), public, "isthmus-renew+jwt", audience)
        assert claims["iss"] == claims["sub"] == machine.client_id
        if public not in (machine.public, machine.next_public):
            leave = self._verify(str(body["authorization"]), machine.public, "isthmus-rekey+jwt", audience)
            assert leave["iss"] == leave["sub"] == machine.client_id
            key = serialization.load_der_public_key(base64.b64decode(public))
            der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            assert leave["spki_sha256"] == hashlib.sha256(der).hexdigest()
            machine.next_public = public
        return 200, {"registrationExpiresAt": _in_days(90)}

    def accepts(self, public: str, vm_id: str = VM_ID) -> bool:
        """Whether a token request signed by this key would succeed."""
        machine = self.machines[vm_id]
        return public in (machine.public, machine.next_public)

    def _token(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        assert body["grant_type"] == "client_credentials"
        assert body["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert body["scope"] == f"{self.endpoint}/.default"
        for vm_id, machine in self.machines.items():
            if machine.client_id != body["client_id"]:
                continue
            for public in filter(None, (machine.public, machine.next_public)):
                try:
                    claims = self._verify(str(body["client_assertion"]), public, "JWT", f"{self.endpoint}/{TENANT}/oauth2/v2.0/token")
                except JoseError:
                    continue
                assert claims["iss"] == claims["sub"] == body["client_id"] == machine.client_id
                if public == machine.next_public:  # the second phase of a renewal
                    machine.public, machine.next_public = public, ""
                token = secrets.token_urlsafe(16)
                self.tokens[token] = vm_id
                return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return 401, {"error": "invalid_client", "error_description": "The assertion is not signed by a known key."}

    def _verify(self, statement: str, public: str, kind: str, audience: str) -> dict[str, Any]:
        key = serialization.load_der_public_key(base64.b64decode(public, validate=True))
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        token = jwt.decode(statement, RSAKey.import_key(pem), algorithms=["RS256"])
        claims: dict[str, Any] = token.claims
        assert token.header["typ"] == kind
        assert claims["aud"] == audience
        assert claims["iat"] <= self.clock() + 1
        assert self.clock() < claims["exp"] <= claims["iat"] + 300
        assert claims["jti"] not in self.statements
        self.statements.add(claims["jti"])
        return claims


class DirectCaller:
    """A `Caller` without a network. `before` and `after` run around each call and may raise."""

    def __init__(self, plane: FakePlane, before: Callable[[str], None] | None = None, after: Callable[[str], None] | None = None) -> None:
        self.plane, self.before, self.after = plane, before, after

    def post(self, url: str, body: Mapping[str, Any], *, bearer: str = "", form: bool = False) -> Answer:
        path = urlsplit(url).path
        if self.before:
            self.before(path)
        status, value = self.plane.answer(path, json.loads(json.dumps(body)), bearer)
        if self.after:
            self.after(path)
        error = value.get("error", {}) if status >= 400 else {}
        if isinstance(error, str):
            return Answer(status=status, body=value, code=error)
        return Answer(status=status, body=value, code=error.get("code", ""), message=error.get("message", ""))

    def close(self) -> None:
        return


class TlsPlane:
    """A FakePlane over TLS on loopback, with a CA of its own. `dropped` names calls whose answers get lost, once each."""

    def __init__(self, folder: Path) -> None:
        self.ca, certificate = _certificates(folder)
        outer = self
        self.dropped: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(200, {})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                is_form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                body = dict(parse_qsl(raw)) if is_form else json.loads(raw)
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status, value = outer.plane.answer(urlsplit(self.path).path, body, bearer)
                name = self.path.rsplit("/", 1)[-1]
                if name in outer.dropped:
                    outer.dropped.remove(name)
                    self.close_connection = True
                    return
                self._reply(status, value)

            def _reply(self, status: int, value: dict[str, Any]) -> None:
                payload = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.plane = FakePlane(f"https://127.0.0.1:{self.server.server_address[1]}")
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def environ(self) -> dict[str, str]:
        """What the SSM document exports."""
        return {
            "ISTHMUS_ENDPOINT": self.plane.endpoint,
            "ISTHMUS_CA": base64.b64encode(self.ca.encode()).decode(),
            "ISTHMUS_GENERATION": "1",
        }

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def _certificates(folder: Path) -> tuple[str, Path]:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("test CA", "127.0.0.1")]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    pems = []
    for name, key, is_ca in zip(names, keys, (True, False), strict=True):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(names[0]).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        if not is_ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        pems.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(pems[1] + secret)
    return pems[0].decode(), path


def _in_days(days: int) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
