"""A small OIDC issuer over TLS with a CA of its own, to put STS of the lab to the test."""

import base64
import datetime
import http.server
import json
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID


def encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def certificate(
    host: str, key: ec.EllipticCurvePrivateKey, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0] if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


class FakeIssuer:
    """Serves discovery and keys of `https://<host>` on a loopback port; signs tokens, good and bad ones."""

    def __init__(self, host: str = "issuer.isthmus.test", slash: str = "") -> None:
        self.url = f"https://{host}{slash}"
        self.host = host
        self.keys = {"k1": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.published = ["k1"]
        self.named_issuer = self.url
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca = certificate("Test CA", ca_key, None)
        leaf = certificate(host, key, (ca.subject, ca_key))
        pem = serialization.Encoding.PEM
        self.ca = ca.public_bytes(pem).decode()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        outer = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(outer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder, "chain.pem")
            chain.write_bytes(leaf.public_bytes(pem) + private)
            context.load_cert_chain(chain)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def told(self) -> dict[str, str]:
        """What the lab is told of this issuer."""
        return {"host": self.host, "connect": f"127.0.0.1:{self._server.server_port}", "ca": self.ca}

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/openid-configuration"):
            return {"issuer": self.named_issuer, "jwks_uri": f"https://{self.host}/keys"}
        return {"keys": [self.jwk(kid) for kid in self.published]}

    def jwk(self, kid: str) -> dict[str, str]:
        numbers = self.keys[kid].public_key().public_numbers()
        n = encode(numbers.n.to_bytes(256, "big"))
        return {"kty": "RSA", "kid": kid, "use": "sig", "n": n, "e": encode(numbers.e.to_bytes(3, "big"))}

    def new_key(self, kid: str, *, publish: bool) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if publish:
            self.published.append(kid)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        plain = {"iss": self.url, "sub": "svc:Test:1", "aud": "isthmus:aws:1", "iat": now, "nbf": now, "exp": now + 600}
        return {name: value for name, value in {**plain, **changes}.items() if value is not None}

    def token(self, *, kid: str = "k1", header: dict[str, Any] | None = None, raw: str | None = None, **changes: Any) -> str:
        """A token by key `kid`; `raw` replaces the claims' JSON text, `header` changes the header."""
        head = encode(json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid, **(header or {})}).encode())
        signed = f"{head}.{encode((raw or json.dumps(self.claims(**changes))).encode())}"
        return f"{signed}.{encode(self.keys[kid].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
