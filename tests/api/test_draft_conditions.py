"""Drafts under conditions: what is created is what was looked at, and tags whose name stands twice are kept and told."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.api.test_drafts import READY, call, judged, put, stored


def test_creation_under_an_etag_makes_what_was_looked_at(api: Api) -> None:
    draft = put(api, READY)
    seen = call(api, "GET", draft).headers["etag"].strip('"')
    call(api, "PATCH", draft, {"properties": {"tags": {"team": "another"}}})
    before = stored(api)
    refused = call(api, "POST", f"{draft}/create", {"etag": seen})
    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert stored(api) == before, "nothing was made"
    now = call(api, "GET", draft).headers["etag"].strip('"')
    assert call(api, "POST", f"{draft}/create", {"etag": now}).json()["tags"] == {"team": "another"}


def test_tags_that_stand_twice_are_kept_and_told(api: Api) -> None:
    twice = {**READY, "repeatedTags": [{"name": "team", "value": "second"}]}
    draft = put(api, twice)
    assert call(api, "GET", draft).json()["properties"]["repeatedTags"] == twice["repeatedTags"]
    assert judged(api, draft)["tags"] == [("tags.team", "InvalidTags", "error")]
    assert call(api, "POST", f"{draft}/create").status_code == 400
    call(api, "PATCH", draft, {"properties": {"repeatedTags": None}})
    assert judged(api, draft)["tags"] == []


def test_what_cannot_be_printed_is_kept_too(api: Api) -> None:
    """Databases differ in what text they take; a draft keeps whatever was typed."""
    strange = "\u202egnp.exe \u0000 \ufeff"
    draft = put(api, {"step": "basics", "basics": {"connectorName": strange}, "tags": {strange: strange}})
    found = call(api, "GET", draft).json()["properties"]
    assert (found["basics"]["connectorName"], found["tags"]) == (strange, {strange: strange})
    assert judged(api, draft)["tags"] == [(f"tags.{strange}", "InvalidTagNameCharacters", "error")]
