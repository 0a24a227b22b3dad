"""Clients, their secrets and federated credentials."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from isthmus.arm.errors import ArmError
from isthmus.identity import clients
from isthmus.identity.federation import MAX_CREDENTIALS, add_federated, list_federated, remove_federated
from isthmus.identity.secrets import MAX_SECRETS, add_secret, list_secrets, match_secret, remove_secret
from isthmus.store import Store
from isthmus.store.tables import client_secrets
from tests.identity.parties import TestKey
from tests.support.clock import Clock


def test_a_client_is_created_listed_and_deleted_with_everything(store: Store, clock: Clock, key_of: Callable[[str], TestKey]) -> None:
    with store.begin() as connection:
        made = clients.create_client(connection, name="  App ", clock=clock, public_key=key_of("good").pem)
        assert made.name == "App"
        assert made.client_id != made.object_id
        assert clients.list_clients(connection) == [made] == [clients.get_client(connection, made.client_id)]
        add_secret(connection, made.client_id, lifetime=60, clock=clock)
        add_federated(connection, made.client_id, issuer="https://i.test", subject="s")
        clients.delete_client(connection, made.client_id)
        assert not clients.list_clients(connection)
        assert not list_secrets(connection, made.client_id)
        assert not list_federated(connection, made.client_id)
        with pytest.raises(ArmError, match="ClientNotFound"):
            clients.delete_client(connection, made.client_id)


def test_ids_are_unique_and_plain(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        clients.create_client(connection, name="a", clock=clock, client_id="app1")
        with pytest.raises(ArmError, match="ClientExists"):
            clients.create_client(connection, name="b", clock=clock, client_id="app1")
        for wrong in ("a b", "-a", "a/b", "a\0", "x" * 129):
            with pytest.raises(ArmError, match="client id"):
                clients.create_client(connection, name="b", clock=clock, client_id=wrong)
            assert clients.find_client(connection, wrong) is None
        with pytest.raises(ArmError, match="PEM"):
            clients.create_client(connection, name="b", clock=clock, public_key="no key")
        with pytest.raises(ArmError, match="name"):
            clients.create_client(connection, name=" ", clock=clock)


def test_the_operator_keeps_its_object_id_when_its_key_changes(store: Store, clock: Clock, key_of: Callable[[str], TestKey]) -> None:
    with store.begin() as connection:
        first = clients.register_operator(connection, key_of("good").pem, clock)
        assert clients.register_operator(connection, key_of("good").pem, clock) == first
        second = clients.register_operator(connection, key_of("evil").pem, clock)
    assert (second.client_id, second.object_id, second.public_key) == ("operator", first.object_id, key_of("evil").pem)


def test_the_operator_proves_itself_by_its_key_alone(store: Store, clock: Clock, key_of: Callable[[str], TestKey]) -> None:
    """Whatever an owner of an earlier version added to it is gone after a start."""
    with store.begin() as connection:
        other = clients.create_client(connection, name="a", clock=clock, client_id="app1").client_id
        clients.register_operator(connection, key_of("good").pem, clock)
        for id in ("operator", other):
            add_secret(connection, id, lifetime=60, clock=clock)
            add_federated(connection, id, issuer="https://i.test", subject="s")
        clients.register_operator(connection, key_of("good").pem, clock)
        left = {id: (len(list_secrets(connection, id)), len(list_federated(connection, id))) for id in ("operator", other)}
    assert left == {"operator": (0, 0), other: (1, 1)}


def test_secrets_are_stored_hashed_and_matched(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        clients.create_client(connection, name="a", clock=clock, client_id="app")
        first = add_secret(connection, "app", lifetime=60, clock=clock)
        second = add_secret(connection, "app", lifetime=120, clock=clock)
        stored = list_secrets(connection, "app")
        rows = str(connection.execute(select(client_secrets)).all())
    assert first.text not in rows
    assert first.text not in repr(first)
    assert first.text.encode() not in {secret.hash for secret in stored}
    assert stored[0].salt != stored[1].salt
    for new in (first, second):
        match = match_secret(stored, new.text)
        assert match is not None
        assert (match.id, match.hint, match.expires_at) == (new.id, new.text[8:12], new.expires_at)
    for wrong in ("", "isthmus_", first.text[:-1], first.text + "0", first.text.upper(), "\ud800", second.text[:12] + first.text[12:]):
        assert match_secret(stored, wrong) is None
    assert match_secret([], first.text) is None
    assert "salt" not in repr(stored)


def test_secrets_are_bounded_and_removed(store: Store, clock: Clock) -> None:
    with store.begin() as connection:
        clients.create_client(connection, name="a", clock=clock, client_id="app")
        made = [add_secret(connection, "app", lifetime=60, clock=clock) for _ in range(MAX_SECRETS)]
        with pytest.raises(ArmError, match="TooManySecrets"):
            add_secret(connection, "app", lifetime=60, clock=clock)
        remove_secret(connection, "app", made[0].id)
        with pytest.raises(ArmError, match="SecretNotFound"):
            remove_secret(connection, "other", made[1].id)
        assert len(list_secrets(connection, "app")) == MAX_SECRETS - 1
        for lifetime in (0, -1, 10**9):
            with pytest.raises(ArmError, match="lives"):
                add_secret(connection, "app", lifetime=lifetime, clock=clock)
        with pytest.raises(ArmError, match="ClientNotFound"):
            add_secret(connection, "nobody", lifetime=60, clock=clock)


def test_federated_credentials_are_checked(store: Store, clock: Clock, key_of: Callable[[str], TestKey]) -> None:
    with store.begin() as connection:
        clients.create_client(connection, name="a", clock=clock, client_id="app")
        made = add_federated(connection, "app", issuer="https://i.test", subject="s", jwks={"keys": [key_of("good").jwk]})
        assert list_federated(connection, "app") == [made]
        with pytest.raises(ArmError, match="CredentialExists"):
            add_federated(connection, "app", issuer="https://i.test", subject="s", audience="other")
        for issuer in ("http://i.test", "https://user@i.test", "https://i.test?x=1", "i.test", "https://[::1", ""):
            with pytest.raises(ArmError, match="issuer"):
                add_federated(connection, "app", issuer=issuer, subject="t")
        for jwks in ({}, {"keys": []}, {"keys": [{"kty": "oct", "kid": "1", "k": "AA"}]}):
            with pytest.raises(ArmError, match="JWK Set"):
                add_federated(connection, "app", issuer="https://j.test", subject="s", jwks=jwks)
        remove_federated(connection, "app", made.id)
        with pytest.raises(ArmError, match="CredentialNotFound"):
            remove_federated(connection, "app", made.id)
        for number in range(MAX_CREDENTIALS):
            add_federated(connection, "app", issuer="https://i.test", subject=f"s{number}")
        with pytest.raises(ArmError, match="already"):
            add_federated(connection, "app", issuer="https://i.test", subject="one more")
