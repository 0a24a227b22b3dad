"""How a person signs a command line in: with the browser of this computer (code and PKCE), or with one elsewhere (device code)."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from isthmus.arm.errors import ArmError
from isthmus.client.calls import Client
from isthmus.client.kept import Kept
from isthmus.client.loopback import Loopback
from isthmus.client.place import Place
from isthmus.client.tokens import CLIENT, keep, sent

PATIENCE = 300.0
_TOKEN, _DEVICE = "/common/oauth2/v2.0/token", "/common/oauth2/v2.0/devicecode"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER = 5.0


@dataclass(frozen=True, kw_only=True)
class PersonSignIn:
    """Signs somebody in to a server and keeps the tokens. Answers are until when (epoch seconds)."""

    place: Place
    environ: Mapping[str, str]
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    transport: httpx.BaseTransport | None = field(default=None, repr=False)

    def with_browser(self, show: Callable[[str], None], *, seconds: float = PATIENCE) -> float:
        """`show` gets the address to open. ArmError `SignInDenied`, `SignInExpired`, `SignInMismatch`, or the server's own."""
        state, verifier = (_encoded(self.random_bytes(32)) for _ in range(2))
        issuer = self._issuer()
        with Loopback(state) as loopback:
            asked = {
                "client_id": CLIENT,
                "response_type": "code",
                "redirect_uri": loopback.redirect_uri,
                "state": state,
                "code_challenge": _encoded(hashlib.sha256(verifier.encode()).digest()),
                "code_challenge_method": "S256",
            }
            show(f"{self.place.url}/common/oauth2/v2.0/authorize?{urlencode(asked)}")
            answer = loopback.wait(seconds)
        if answer.get("iss") != issuer:
            raise ArmError("SignInMismatch", "The answer came from another server than the one that was asked.", status=401)
        if "code" not in answer:
            raise _denied(answer.get("error_description") or answer.get("error", ""))
        form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": asked["redirect_uri"]}
        return self._keep(self._token({**form, "code_verifier": verifier}))

    def with_device_code(self, show: Callable[[Mapping[str, Any]], None], sleep: Callable[[float], None]) -> float:
        """`show` gets `verification_uri` and `user_code` among others. ArmError `SignInDenied`, `ExpiredToken`, or the server's own."""
        begun = sent(self.place, _DEVICE, transport=self.transport, data={"client_id": CLIENT})
        show(begun)
        pause, until = float(begun["interval"]), self.clock() + float(begun["expires_in"])
        form = {"grant_type": _DEVICE_GRANT, "device_code": str(begun["device_code"])}
        while True:
            sleep(pause)
            try:
                return self._keep(self._token(form))
            except ArmError as error:
                if error.code == "AccessDenied":
                    raise _denied("The person did not allow it.") from error
                is_over = error.status == 503 and self.clock() >= until
                if is_over or (error.status != 503 and error.code not in ("AuthorizationPending", "SlowDown")):
                    raise
                # One that does not answer is asked less often too (RFC 8628 3.5).
                pause += 0.0 if error.code == "AuthorizationPending" else _SLOWER

    def _issuer(self) -> str:
        with Client(self.place.url, lambda: "", transport=self.transport, verify=self.place.ca) as caller:
            return str(caller.document("/common/v2.0/.well-known/openid-configuration")["issuer"])

    def _token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        return sent(self.place, _TOKEN, transport=self.transport, data={**form, "client_id": CLIENT})

    def _keep(self, answer: Mapping[str, Any]) -> float:
        kept = Kept(self.environ, self.place.url)
        with kept.locked():
            tokens = keep(kept, answer, self.clock)
        return max(tokens.until, tokens.refresh_until)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _denied(reason: str) -> ArmError:
    text = "".join(character for character in reason[:300] if character.isprintable())
    return ArmError("SignInDenied", f"You are not signed in: {text or 'no reason was given.'}", status=403)
