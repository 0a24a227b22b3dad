"""Requests at the token endpoint, and what comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from isthmus.identity.oauth import OAuthError
from isthmus.identity.tokens import JWT_BEARER, TokenEndpoint
from tests.identity.parties import BASE, TOKEN_URL, TestKey
from tests.support.clock import Clock

Keys = Callable[[str], TestKey]


def assertion_form(client_id: str, assertion: str, **more: str) -> dict[str, str]:
    """The form of a client that signs."""
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion,
        "scope": f"{BASE}/.default",
        **more,
    }


def statement(client_id: str, clock: Clock, jti: str = "1", **changes: Any) -> dict[str, Any]:
    """Claims of an assertion as a client signs them about itself."""
    now = int(clock())
    return {"iss": client_id, "sub": client_id, "aud": TOKEN_URL, "iat": now, "exp": now + 300, "jti": jti, **changes}


def refused(endpoint: TokenEndpoint, form: dict[str, str], code: int) -> OAuthError:
    """Ask, and be refused with this AADSTS number."""
    with pytest.raises(OAuthError) as caught:
        endpoint.answer(form)
    assert caught.value.code == code, caught.value
    return caught.value


def race(endpoint: TokenEndpoint, forms: list[dict[str, str]]) -> list[str]:
    """Ask at the same moment; "in" or the OAuth error of each."""
    outcomes = [""] * len(forms)
    together = threading.Barrier(len(forms))

    def ask(number: int) -> None:
        together.wait()
        try:
            endpoint.answer(forms[number])
            outcomes[number] = "in"
        except OAuthError as error:
            outcomes[number] = error.error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(forms))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
