"""Our token for Graph: bought with a token of our own issuer (RFC 7523 2.2), which the application trusts as a federated credential.

It is held in memory until shortly before its end, and nowhere else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from isthmus.clouds.azure.graph.faults import GraphRefused, GraphUnavailable
from isthmus.clouds.azure.graph.place import Place
from isthmus.clouds.azure.graph.wire import Said, Wire

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SUBJECT = "svc:Isthmus.Directory"
"""Whom our issuer speaks of there: what the federated credential names, beside the issuer and the audience."""
EARLY = 300.0
"""Seconds before its end from which on a token is not used, at most half its life."""
_AADSTS = re.compile(r"AADSTS[0-9]{1,8}")
_REMEDIES = {
    # Entra's words for it differ by what did not match; a new credential is not seen everywhere for some minutes.
    "AADSTS70021": "its federated credential does not name our issuer, subject and audience exactly, or was made minutes ago",
    "AADSTS700211": "no federated credential of the application names our issuer",
    "AADSTS700212": "no federated credential of the application names our audience",
    "AADSTS700213": "no federated credential of the application names our subject",
    "AADSTS700016": "the tenant has no such application",
    "AADSTS90002": "there is no such tenant",
    "AADSTS7000272": "the directory could not read the keys of our issuer; publish what 'isthmus issuer export' writes",
    "AADSTS700024": "the clocks differ; compare ours",
}


class Tokens:
    """Tokens of the application. `assertion` makes a token of ours for `api://AzureADTokenExchange`; `clock` in seconds since 1970."""

    def __init__(self, place: Place, wire: Wire, *, assertion: Callable[[], str], clock: Callable[[], float]) -> None:
        self._place = place
        self._wire = wire
        self._assertion = assertion
        self._clock = clock
        self._lock = threading.Lock()
        self._held, self._good_until = "", 0.0

    def token(self, *, instead_of: str = "") -> str:
        """A token that is still good, bought when there is none, or when the one that is held is `instead_of`, which Graph refused.

        GraphRefused when the directory does not take us, GraphUnavailable when it does not answer. One thread buys for all.
        """
        with self._lock:
            if self._clock() >= self._good_until or (instead_of and self._held == instead_of):
                self._buy()
            return self._held

    def _buy(self) -> None:
        place, now = self._place, self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_id": place.client,
            "scope": place.scope,
            "client_assertion_type": JWT_BEARER,
            "client_assertion": self._assertion(),
        }
        said = self._wire.send("POST", place.token_url, form=form)
        answer = said.object()
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if said.status == 200 and isinstance(token, str) and token.isascii() and token.isprintable() and isinstance(seconds, int):
            self._held, self._good_until = token, now + max(seconds - EARLY, seconds / 2, 0.0)
            return
        raise self._fault(said)

    def _fault(self, said: Said) -> GraphRefused | GraphUnavailable:
        if said.status >= 500 or said.status in (200, 408, 429):
            told = f"The directory's token endpoint answered {said.status}. Try again later."
            return GraphUnavailable(told, retry_after=said.retry_after())
        found = _AADSTS.search(str(said.object().get("error_description", "")))
        code = found[0] if found else ""
        why = _REMEDIES.get(code, "see the code at https://login.microsoftonline.com/error")
        told = (
            f"The directory refuses application '{self._place.client}' ({code or said.status}): {why}. "
            "How to register it: docs/how-to/follow-entra-by-graph.md."
        )
        return GraphRefused(told, code=code)
