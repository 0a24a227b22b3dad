"""Filters find the same by index as the library would by comparing, and only what has no column is compared."""

from __future__ import annotations

import pytest
from scim2_models import ScimFilter

from isthmus.access.directory import GROUP, USER
from isthmus.access.scim.filters import folded, narrow
from tests.access.people import Provisioned, RefusedError

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.mark.parametrize(
    ("kind", "text", "is_exact"),
    [
        (USER, 'userName eq "a"', True),
        (USER, 'USERNAME EQ "a"', True),
        (USER, 'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a"', True),
        (USER, f'{ENTERPRISE}:userName eq "a"', False),
        (USER, 'userName eq "a" and externalId eq "b" and id eq "c" and active eq true', True),
        (USER, 'userName eq "a" and title eq "b"', False),
        (USER, 'userName eq "a" or id eq "b"', False),
        (USER, 'not (userName eq "a")', False),
        (USER, 'userName sw "a"', False),
        (USER, "userName eq null", False),
        (USER, "userName pr", False),
        (USER, 'displayName eq "a"', False),
        (USER, 'members eq "a"', False),
        (USER, 'emails[type eq "work"].value eq "a"', False),
        (GROUP, 'displayName eq "a"', True),
        (GROUP, 'id eq "a" and members eq "b"', True),
        (GROUP, 'members.value eq "b"', True),
        (GROUP, 'members.type eq "User"', False),
        (GROUP, 'userName eq "a"', False),
    ],
)
def test_what_columns_answer(kind: str, text: str, is_exact: bool) -> None:
    assert narrow(kind, ScimFilter(text).ast).is_exact is is_exact


@pytest.fixture
def people(provisioned: Provisioned) -> Provisioned:
    """Three users of whom one has two work mails and one none."""
    mails = [{"type": "work", "value": "one@example.com"}, {"type": "work", "value": "two@example.com"}]
    provisioned.user("ÅSA@example.com", externalId="Ext", emails=mails, active=False)
    provisioned.user("bob", emails=[{"type": "home", "value": "one@example.com"}, {"type": "work", "value": "Bob@example.com"}], title="x")
    provisioned.user("carol")
    return provisioned


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('userName eq "åsa@EXAMPLE.com"', ["ÅSA@example.com"]),
        ('userName eq "A\u030asa@example.com"', ["ÅSA@example.com"]),
        ('externalId eq "Ext"', ["ÅSA@example.com"]),
        ('externalId eq "ext"', []),
        ('emails[type eq "work"].value eq "TWO@example.com"', ["ÅSA@example.com"]),
        ('emails[type eq "work"].value eq "one@example.com"', ["ÅSA@example.com"]),
        ('emails[type eq "home"].value eq "one@example.com"', ["bob"]),
        ('emails[type eq "work"].value eq "bob@example.com"', ["bob"]),
        ('emails.value eq "bob@example.com"', ["bob"]),
        ("active eq false", ["ÅSA@example.com"]),
        ('title eq "X"', ["bob"]),
        ('title pr or userName eq "carol"', ["bob", "carol"]),
        ('userName sw "CAR"', ["carol"]),
        ('userName eq "carol" and title pr', []),
    ],
)
def test_what_is_found(people: Provisioned, text: str, names: list[str]) -> None:
    found = people.send("GET", f"/Users?filter={text}").body
    assert found is not None
    assert sorted(user["userName"] for user in found.get("Resources", [])) == sorted(names)
    assert found["totalResults"] == len(names)


def test_pages_are_whole_and_do_not_overlap(people: Provisioned) -> None:
    for path in ("/Users?", "/Users?filter=userName pr&", "/?"):
        seen = []
        for start in (1, 2, 3, 4):
            page = people.send("GET", f"{path}startIndex={start}&count=1").body
            assert page is not None
            assert page["totalResults"] == 3
            seen += [user["userName"] for user in page.get("Resources", [])]
        assert sorted(seen) == sorted(["ÅSA@example.com", "bob", "carol"])


def test_texts_are_compared_in_one_form() -> None:
    assert folded("A\u030asa") == folded("ÅSA") == "åsa"


ESCAPED = ["\\ud800", "\\udfff", "a\\u0000b", "\\ude00\\ud83d"]


@pytest.mark.parametrize("text", ESCAPED)
@pytest.mark.parametrize(
    "asked",
    [
        '/Users?filter=userName eq "{}"',
        '/Users?filter=title eq "{}"',
        '/Users?filter=not (userName co "{}")',
        '/Users?filter=emails[type eq "work"].value eq "{}"',
        '/Users?filter=emails[type eq "{}"]',
        '/Groups?filter=members eq "{}"',
        '/?filter=externalId eq "{}"',
    ],
)
def test_a_filter_cannot_hide_what_cannot_be_stored(people: Provisioned, asked: str, text: str) -> None:
    with pytest.raises(RefusedError, match="invalidFilter"):
        people.send("GET", asked.format(text))
    kind, _, wanted = asked.partition("?filter=")
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": wanted.format(text)}
    with pytest.raises(RefusedError, match="invalidFilter"):
        people.send("POST", f"{kind.rstrip('/')}/.search", search)


@pytest.mark.parametrize("text", ESCAPED)
@pytest.mark.parametrize("verb", ["add", "replace", "remove"])
def test_a_path_cannot_hide_what_cannot_be_stored(people: Provisioned, verb: str, text: str) -> None:
    before = people.read("carol")
    for path in (f'emails[type eq "{text}"].value', f'addresses[type eq "{text}"]'):
        with pytest.raises(RefusedError, match="invalidPath"):
            people.patch("carol", {"op": verb, "path": path, "value": "c@example.com"})
    people.group("g", "carol")
    with pytest.raises(RefusedError, match="invalidPath"):
        people.patch("g", {"op": verb, "path": f'members[value eq "{text}"]'})
    assert people.read("carol")["meta"]["version"] == before["meta"]["version"]


def test_whole_characters_may_be_escaped(people: Provisioned) -> None:
    people.user("smile\U0001f600")
    found = people.send("GET", '/Users?filter=userName eq "smile\\ud83d\\ude00" and userName ne "\\\\ud800 \\" \\u00e5"').body
    assert found is not None
    assert found["totalResults"] == 1


def test_a_path_that_cannot_be_stored_leads_to_nobody(people: Provisioned) -> None:
    for id in ("\ud800", "a\0"):
        with pytest.raises(RefusedError, match="NotFound"):
            people.send("GET", f"/Users/{id}")
