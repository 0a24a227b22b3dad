"""People are known by what their provider calls them, never by name or mail."""

from __future__ import annotations

import pytest

from isthmus.arm.errors import ArmError
from isthmus.identity.people import Person, Visitor, entra_tenant, find_person, list_people, person_of, remember
from isthmus.store import Store
from tests.support.clock import Clock

ISSUER = "https://login.provider.test"
TENANT = "0f0f0f0f-1111-2222-3333-444444444444"


def claims(sub: str = "ann", **more: object) -> dict[str, object]:
    return {"iss": ISSUER, "sub": sub, **more}


def test_two_people_of_one_mail_address_are_two(store: Store, clock: Clock) -> None:
    shared = {"email": "info@example.test", "name": "Ann", "email_verified": True}
    ann, other = person_of(claims("1", **shared)), person_of(claims("2", **shared))
    assert ann.object_id != other.object_id
    with store.begin() as connection:
        remember(connection, ann, clock)
        remember(connection, other, clock)
        assert sorted(visitor.person.subject for visitor in list_people(connection)) == ["1", "2"]


def test_a_person_who_changes_everything_stays_the_same(store: Store, clock: Clock) -> None:
    came = int(clock() * 1000)
    with store.begin() as connection:
        remember(connection, person_of(claims(name="Ann", email="ann@example.test")), clock)
    clock.advance(60)
    changed = person_of(claims(name="Ann Married", email="a.m@example.test"))
    with store.begin() as connection:
        remember(connection, changed, clock)
        assert find_person(connection, changed.object_id.upper()) == Visitor(person=changed, first_at=came, last_at=came + 60_000)
        assert find_person(connection, "nobody") is None


def test_the_same_subject_of_another_issuer_is_somebody_else() -> None:
    assert person_of(claims()).object_id != person_of({**claims(), "iss": f"{ISSUER}.evil"}).object_id
    assert person_of(claims()).object_id == "6690f75d-a47f-5567-9df7-f453e4c2f4bd"


@pytest.mark.parametrize(
    ("person", "why"),
    [
        (Person(object_id="1", name="Ann", issuer=ISSUER, subject="2"), "the subject is another's"),
        (Person(object_id="3", name="Ann", issuer=ISSUER, subject="1"), "a new object id for a known subject"),
        (Person(object_id="1", name="Ann", issuer="https://other.test", subject="1"), "the object id is another issuer's"),
    ],
)
def test_nobody_takes_the_place_of_somebody_else(store: Store, clock: Clock, person: Person, why: str) -> None:
    with store.begin() as connection:
        for number in ("1", "2"):
            remember(connection, Person(object_id=number, name=number, issuer=ISSUER, subject=number), clock)
        before = list_people(connection)
        with pytest.raises(ArmError) as caught:
            remember(connection, person, clock)
        assert caught.value.code == "SignInRefused", why
        assert list_people(connection) == before


def test_a_new_registration_at_entra_keeps_its_people(store: Store, clock: Clock) -> None:
    """The subject differs from application to application, the object id does not."""
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    said = {"iss": issuer, "oid": "abcdef00-0000-0000-0000-00000000000a", "tid": TENANT}
    with store.begin() as connection:
        for subject in ("of the first", "of the second"):
            remember(connection, person_of({**said, "sub": subject}), clock)
        assert [visitor.person.subject for visitor in list_people(connection)] == ["of the second"]


@pytest.mark.parametrize(
    ("issuer", "tenant"),
    [
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", TENANT),
        (f"https://login.microsoftonline.us/{TENANT}/v2.0", TENANT),
        (f"https://login.partner.microsoftonline.cn/{TENANT}/v2.0", TENANT),
        ("https://login.microsoftonline.com/common/v2.0", ""),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0/", ""),
        (f"https://login.microsoftonline.com.evil.test/{TENANT}/v2.0", ""),
        (f"https://evil.test/https://login.microsoftonline.com/{TENANT}/v2.0", ""),
        (f"https://loginXmicrosoftonline.com/{TENANT}/v2.0", ""),
        (f"https://{TENANT}.ciamlogin.com/{TENANT}/v2.0", ""),
        (f"https://sts.windows.net/{TENANT}/", ""),
    ],
)
def test_which_issuers_are_entra(issuer: str, tenant: str) -> None:
    assert entra_tenant(issuer) == tenant


@pytest.mark.parametrize(
    ("said", "name", "mail"),
    [
        ({"name": "Ann", "preferred_username": "ann", "email": "ann@example.test"}, "Ann", "ann@example.test"),
        ({"preferred_username": "ann@example.test"}, "ann@example.test", "ann@example.test"),
        ({"email": "ann@example.test"}, "ann@example.test", "ann@example.test"),
        ({"name": "  \t\n", "preferred_username": "ann"}, "ann", ""),
        ({"name": "A\u202enn\x1b[31m\n", "email": 7}, "Ann[31m", ""),
        ({"name": ["Ann"]}, "the subject", ""),
        ({"name": "é" * 300}, "é" * 256, ""),
        ({"email": "a@" + "b" * 400}, ("a@" + "b" * 400)[:256], ("a@" + "b" * 400)[:320]),
        ({}, "the subject", ""),
    ],
)
def test_names_are_shown_as_one_line(said: dict[str, object], name: str, mail: str) -> None:
    person = person_of(claims("the subject", **said))
    assert (person.name, person.mail) == (name, mail)
