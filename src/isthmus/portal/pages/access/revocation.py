"""A revocation as it runs: which account denies since when, with the seconds that were measured."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from isthmus.portal.page import Live, Piece, Visit
from isthmus.portal.pages.access.reading import REVOCATIONS, Book, Revocation, read_book, read_roles, revocation_of
from isthmus.portal.principals import Principal, Principals
from isthmus.portal.words import plural

_DONE = MappingProxyType(
    {
        "offboarded": "Sign-ins, sessions of the portal and grants ended at that moment. Nothing new is handed out.",
        "ended": "The grant ended at that moment. Its sessions are being denied; other grants of the person go on.",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationPage:
    """One revocation. `line` says in a sentence how far it is."""

    one: Revocation
    line: str
    toast: str


def view(visit: Visit) -> RevocationPage:
    """Read it."""
    return _read(visit, read_book(visit))


def _read(visit: Visit, book: Book) -> RevocationPage:
    body = visit.client.get(f"{REVOCATIONS}/{quote(visit.path['revocation'], safe='')}")
    one = revocation_of(body, book)
    return RevocationPage(one=one, line=line_of(one), toast=_DONE.get(visit.query.get("done", ""), ""))


def live(visit: Visit, piece: Piece) -> Live:
    """How it stands, until every account denies: two calls, for nobody is named in it."""
    nobody = Principals(known={}, me=Principal(id="", name="", kind=""), owns=())
    page = _read(visit, Book(principals=nobody, roles=read_roles(visit)))
    parts = {"revocation-line": piece("line", page=page), "revocation-accounts": piece("accounts", page=page)}
    return Live(parts=parts, shape=page.one.state, ended=not page.one.is_pending)


def line_of(one: Revocation) -> str:
    """How far a revocation is, for people who listen as well."""
    count = len(one.accounts)
    if not count:
        return "No account had to be told: nothing had been given there."
    denying = sum(account.denies for account in one.accounts)
    of = f"{denying} of {plural(count, 'account')} {'denies' if count == 1 else 'deny'}"
    if one.is_pending:
        return f"{of} so far."
    measured = f", after {one.seconds:.3f} seconds" if one.seconds is not None else ""
    return f"{of}{measured}."
