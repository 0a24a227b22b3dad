"""Secrets as bearer tokens: known at the first request and remembered, and forgotten when they end."""

from __future__ import annotations

import pytest

from isthmus.arm.errors import ArmError
from isthmus.identity import presented as module
from isthmus.identity.clients import create_client, delete_client
from isthmus.identity.presented import PresentedSecrets, is_presented
from isthmus.identity.secrets import NewSecret, add_secret, match_secret, remove_secret
from isthmus.store import Store
from tests.support.clock import Clock


@pytest.fixture
def secret(store: Store, clock: Clock) -> NewSecret:
    """The secret of a client whose id has dots."""
    with store.begin() as connection:
        create_client(connection, name="Directory", clock=clock, client_id="our.directory")
        return add_secret(connection, "our.directory", lifetime=3600, clock=clock)


@pytest.fixture
def presented(store: Store, clock: Clock) -> PresentedSecrets:
    return PresentedSecrets(store, tenant="t", clock=clock)


def test_a_client_is_known_by_its_secret(presented: PresentedSecrets, secret: NewSecret) -> None:
    caller = presented.caller(f"our.directory.{secret.text}")
    assert (caller.client_id, caller.kind, caller.name, caller.tenant) == ("our.directory", "application", "Directory", "t")


def test_the_slow_part_is_done_once(presented: PresentedSecrets, secret: NewSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(module, "match_secret", lambda *given: asked.append(1) or match_secret(*given))
    for _ in range(5):
        presented.caller(f"our.directory.{secret.text}")
    assert len(asked) == 1


def test_nobody_else_is(presented: PresentedSecrets, secret: NewSecret) -> None:
    presented.caller(f"our.directory.{secret.text}")
    for token in (
        f"our.directory.{secret.text[:-1]}",
        f"our.directory.{secret.text}0",
        f"directory.{secret.text}",
        "our.directory.isthmus_",
    ):
        with pytest.raises(ArmError) as refused:
            presented.caller(token)
        assert (refused.value.code, refused.value.status) == ("AuthenticationFailed", 401)
        assert secret.text not in str(refused.value)


@pytest.mark.parametrize("end", ["expired", "removed", "client"])
def test_what_is_remembered_ends_with_the_secret(
    presented: PresentedSecrets, secret: NewSecret, store: Store, clock: Clock, end: str
) -> None:
    token = f"our.directory.{secret.text}"
    presented.caller(token)
    with store.begin() as connection:
        if end == "expired":
            clock.advance(3600)
        elif end == "removed":
            remove_secret(connection, "our.directory", secret.id)
        else:
            delete_client(connection, "our.directory")
    with pytest.raises(ArmError, match=r"expired|not known"):
        presented.caller(token)


def test_forms_are_told_apart(secret: NewSecret) -> None:
    assert is_presented(f"our.directory.{secret.text}")
    assert [
        token for token in ("", "a.b", "eyJ.eyJ.sig", secret.text, f".{secret.text}", f"a b.{secret.text}") if is_presented(token)
    ] == []
