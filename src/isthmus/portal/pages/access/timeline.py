"""Who did what: from the sign-in over grants and sessions to every call, newest first; and how far the log is proven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from isthmus.arm.errors import ArmError
from isthmus.portal.forms import Form, Problem, Problems
from isthmus.portal.lists import Leaf, read_leaf
from isthmus.portal.page import Invalid, Visit
from isthmus.portal.pages.access.mapped import Role
from isthmus.portal.pages.access.reading import PATH, read_roles, request_path

HERE = f"{PATH}/timeline"
_LIST = "/providers/Isthmus.Access/timeline"
_CHECKPOINTS, _RECORDS = "/providers/Isthmus.Audit/checkpoints", "/providers/Isthmus.Audit/records"
_SIZE = 50
_NOTHING = Leaf(total=None, newest="", older="")
SUBJECTS = MappingProxyType({"person": "Person", "machine": "Machine", "session": "Session", "grant": "Grant"})
_FIELDS = {**dict.fromkeys(SUBJECTS, "which"), "query": "which", "since": "since", "until": "until"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """One entry. `what` says it, `details` are more of it; the rest is what it is about, each empty where it is about none. `request` is
    the page of the request that a grant came of, `event` that of the whole event, of calls and shells."""

    kind: str
    at: str
    what: str
    details: tuple[tuple[str, str], ...]
    outcome: str
    person: str
    name: str
    foreign: str
    grant: str
    request: str
    session: str
    account: str
    region: str
    resources: tuple[str, ...]
    event: str

    @property
    def tone(self) -> str:
        """How it is coloured: refused calls stand out, so does what is nobody's."""
        return "bad" if self.outcome else "warn" if self.foreign else {"SignIn": "good", "Grant": "good"}.get(self.kind, "busy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A signed root: of which tree (audit, trail), over how many entries, when it was taken and when the second store had it (or empty),
    and its file there."""

    tree: str
    size: int
    at: str
    root: str
    anchored: str
    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelinePage:
    """A part of the timeline with its filter; `whole` is with what Isthmus itself called. `checked` is None before somebody has the chain
    checked, then whether it holds; `broken` is the first record that does not fit."""

    entries: tuple[Happened, ...]
    leaf: Leaf
    subjects: tuple[tuple[str, str], ...]
    by: str
    which: str
    since: str
    until: str
    whole: bool
    checkpoints: tuple[Checkpoint, ...]
    checked: bool | None
    broken: int | None
    problems: Problems


@dataclass(frozen=True, kw_only=True, slots=True)
class EventPage:
    """One event: what is known of it, and the whole of it as the account's trail told it, as indented JSON."""

    one: Happened
    id: str
    document: str


def view(visit: Visit) -> TimelinePage | Invalid:
    """Read a part of it. What cannot be asked so is said at its field."""
    by, which = _asked(visit)
    since, until = visit.query.get("since", "").strip(), visit.query.get("until", "").strip()
    whole = "true" if visit.query.get("all") == "true" else ""
    kept = {**({by: which} if which else {}), "since": since, "until": until, "all": whole}
    shown = {name: value for name, value in kept.items() if value}
    problems = Problems()
    try:
        found, leaf = read_leaf(visit, _LIST, shown, size=_SIZE, page_path=HERE, kept=shown)
    except ArmError as error:
        if error.status not in (400, 404):
            raise
        found, leaf = [], _NOTHING
        problems = Problems(found=(Problem(field=_FIELDS.get(error.target or "", ""), message=error.message),))
    roles = read_roles(visit) if any(one["properties"]["kind"] == "Grant" for one in found) else {}
    page = TimelinePage(
        entries=tuple(happened(one, roles) for one in found),
        leaf=leaf,
        subjects=(("", "Everybody"), *SUBJECTS.items()),
        by=by,
        which=which,
        since=since,
        until=until,
        whole=bool(whole),
        checkpoints=_checkpoints(visit),
        checked=None,
        broken=None,
        problems=problems,
    )
    return Invalid(context=page) if problems else page


def check(visit: Visit, _form: Form) -> Invalid:
    """Have the chain of records checked, from its beginning to its end, and say how it is."""
    told = visit.client.post(_RECORDS).body
    found = view(visit)
    page = found.context if isinstance(found, Invalid) else found
    assert isinstance(page, TimelinePage)
    return Invalid(context=replace(page, checked=told["valid"], broken=told["firstBroken"]), status=200)


def event_view(visit: Visit) -> EventPage:
    """One event, whole."""
    body = visit.client.get(f"{_LIST}/{quote(visit.path['event'], safe='')}")
    document = orjson.dumps(body["properties"]["document"], option=orjson.OPT_INDENT_2).decode()
    return EventPage(one=happened(body), id=body["name"], document=document)


def _asked(visit: Visit) -> tuple[str, str]:
    """About whom or what: by a parameter of its own, as links have it, or by what was chosen and typed in the form."""
    for name in SUBJECTS:
        if given := visit.query.get(name, "").strip():
            return name, given
    by, which = visit.query.get("by", ""), visit.query.get("which", "").strip()
    return (by, which) if by in SUBJECTS else ("person" if which else "", which)


def _checkpoints(visit: Visit) -> tuple[Checkpoint, ...]:
    """The latest of each tree."""
    found = []
    for tree in ("audit", "trail"):
        for body in visit.client.get(_CHECKPOINTS, query={"tree": tree, "$top": "1"})["value"]:
            told = body["properties"]
            found.append(
                Checkpoint(
                    tree=told["tree"],
                    size=told["size"],
                    at=told["at"],
                    root=told["root"],
                    anchored=told["anchoredAt"] or "",
                    file=f"{body['name']}.json",
                )
            )
    return tuple(found)


def happened(body: Mapping[str, Any], roles: Mapping[str, Role] | None = None) -> Happened:
    """An entry from the API's body; `roles` by the key of their mapping, whose names a key does not spell as people do."""
    told, is_call = body["properties"], body["properties"]["kind"] in ("Call", "Shell")
    role = (roles or {}).get(told["mapping"].lower()) if told["kind"] == "Grant" else None
    what, details = _said(told, role.name if role else "")
    reason, _, asked = (told["because"] if told["kind"] == "Grant" else "").partition(":")
    return Happened(
        kind=told["kind"],
        at=told["at"],
        what=what,
        details=tuple((name, value) for name, value in details if value),
        outcome=told.get("outcome") or "",
        person=told["person"] or "",
        name=told.get("personName") or (told.get("name", "") if told["kind"] == "SignIn" else ""),
        foreign=told.get("foreignBecause") or told.get("foreign") or "",
        grant=told["grant"] or "",
        request=request_path(asked) if reason == "request" else "",
        session=told["session"] or "",
        account=told.get("account") or "",
        region=told.get("region") or "",
        resources=tuple(told.get("resources") or ()),
        event=f"{HERE}/events/{quote(body['name'], safe='')}" if is_call else "",
    )


def _said(told: Mapping[str, Any], role: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    match told["kind"]:
        case "SignIn":
            methods = ", ".join(told["methods"])
            return "Signed in", (("By", told["issuer"]), ("Proven by", methods), ("From", told.get("address") or ""))
        case "Grant":
            ended = told["ending"] if told["endedAt"] else ""
            because = "" if told["because"].startswith("request:") else told["because"]
            return f"Got {role or told['mapping'].rpartition('/')[2]}", (("Because of", because), ("Ended", ended))
        case "Session":
            use = "" if told["use"] == "credentials" else f" for {told['use']}"
            return f"Took credentials{use}", (("Role", told["roleArn"].rpartition("/")[2]),)
    caller = "" if told["session"] or not told["accessKeyId"] else told["accessKeyId"]
    return f"{told['service']}:{told['operation']}", (("Key", caller), ("Caller", told["principal"] if not told["person"] else ""))
