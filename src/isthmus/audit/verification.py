"""Everything that the log says of itself, checked against itself and against the second store: what does not fit, and where.

Needs a database (or a copy of one) and the anchor's files, no server and no private key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy import Connection, Row, select

from isthmus.audit.anchors import FolderAnchor
from isthmus.audit.chain import GENESIS, fits
from isthmus.audit.checkpoints import TREES, body_of, decode, leaf, link, told
from isthmus.audit.cuts import tree_of, until_of
from isthmus.audit.events import Event, UnreadableEvent, resources_text, unpack
from isthmus.audit.merkle import Tree
from isthmus.keys.signer import kid_of
from isthmus.store import dialect
from isthmus.store.tables import audit_checkpoints, audit_records, trail_events, trail_machines

MOST: Final = 100
_AT_ONCE = 1_000
_SAME = ("id", "account", "region", "at", "source", "name", "kind", "principal", "source_identity", "began_at", "outcome")
_KEYS = {"access_key": "key", "made": "made"}

Whose = Callable[[Row[Any], Event], str]
"""Says what is wrong with whose an event is; empty when nothing is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that does not fit: where, and what."""

    where: str
    what: str


@dataclass(kw_only=True, slots=True)
class Verification:
    """What was looked at and what was found (the first `MOST` findings). `covered` are leaves under the last good checkpoint, by tree.

    `cut` is the last event that retention deleted, and `cut_at` when it was covered (ms): of what is before, checkpoints alone are left.
    `believed` events are whose they are by a record that no checkpoint covers.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("records", "events", "checkpoints", "anchored"), 0))
    covered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TREES, 0))
    findings: list[Finding] = field(default_factory=list)
    cut: int = 0
    cut_at: int = 0
    believed: int = 0

    def find(self, where: str, what: str) -> None:
        """Note a finding."""
        if len(self.findings) < MOST:
            self.findings.append(Finding(where=where, what=what))


@dataclass(slots=True)
class _Path:
    """The checkpoints of one tree, met in order while its leaves go by."""

    tree: str
    result: Verification
    waiting: list[Row[Any]]
    grown: Tree = field(default_factory=Tree)
    previous: str = ""
    is_good: bool = True

    def begin(self, until: int) -> None:
        """Begin behind a checkpoint: of those before it, and of itself, only what stands in them is looked at."""
        found = None
        while self.waiting and self.waiting[0].size <= until:
            row = self.waiting.pop(0)
            grown = tree_of(row)
            if grown is None:
                self.result.find(f"checkpoint {self.tree} {row.size}", "the hashes to go on from are not those that were signed")
                self.is_good = False
            else:
                self.grown = grown
            self._check(row)
            found = row if row.size == until else None
        if found is None:
            self.result.find(f"event {until}", "all up to it are said to have been deleted, and no checkpoint covers just these")
            self.grown = Tree()
            return
        self.result.cut, self.result.cut_at = until, found.at

    def append(self, data: bytes) -> None:
        self.grown.append(data)
        self.settle()

    def settle(self) -> None:
        while self.waiting and self.waiting[0].size <= self.grown.size:
            self._check(self.waiting.pop(0))

    def end(self) -> None:
        for row in self.waiting:
            where = f"checkpoint {self.tree} {row.size}"
            self.result.find(where, f"it covers {row.size} entries and the log has {self.grown.size}: the end of the log was removed")

    def _check(self, row: Row[Any]) -> None:
        where = f"checkpoint {self.tree} {row.size}"
        self.result.counts["checkpoints"] += 1
        wrong = _signature_fault(row.body, row.signature, row.kid, row.public_jwk)
        if not wrong and row.body != body_of(self.tree, row.size, self.grown.root, row.at, self.previous):
            wrong = self._difference(row)
        if not wrong and row.edge != json.dumps([one.hex() for one in self.grown.edge]):
            wrong = "the hashes to go on from are not those of the tree"
        if wrong:
            self.result.find(where, wrong)
            self.is_good = False
        elif self.is_good:
            self.result.covered[self.tree] = row.size
        self.previous = link(row.body, row.signature)

    def _difference(self, row: Row[Any]) -> str:
        said: Mapping[str, Any] = json.loads(row.body)
        if said.get("root") != self.grown.root.hex():
            return f"the entries up to {row.size} are not those that were signed"
        if said.get("previous") != self.previous:
            return "it does not follow the checkpoint before it: that one was changed or removed"
        return "its row does not say what was signed"


def verify_log(connection: Connection, anchor: FolderAnchor | None, whose: Whose) -> Verification:
    """Check everything. Nothing is raised for what does not fit; ArmError 404 `NoAnchor` when the second store is not there."""
    result = Verification()
    if dialect.is_sqlite(connection) and (damage := dialect.find_damage(connection)):
        result.find("database file", damage)
    stored = connection.execute(select(audit_checkpoints).order_by(audit_checkpoints.c.tree, audit_checkpoints.c.size)).all()
    for row in stored:
        if row.tree not in TREES:
            result.find(f"checkpoint {row.tree} {row.size}", "there is no such tree")
    paths = {tree: _Path(tree, result, [row for row in stored if row.tree == tree]) for tree in TREES}
    if cut := _check_chain(connection, paths["audit"]):
        paths["trail"].begin(cut)
    _check_trail(connection, paths["trail"], whose)
    if anchor is not None:
        _check_anchor(anchor, stored, result)
    return result


def _check_chain(connection: Connection, path: _Path) -> int:
    """Look at the chain; up to which event it says that the trail was deleted."""
    expected, previous, cut = 1, GENESIS, 0
    for row in _rows(connection, audit_records):
        path.result.counts["records"] += 1
        if not fits(row, expected, previous):
            path.result.find(f"audit record {expected}", "it does not fit the chain: it, or one before it, was changed or removed")
        path.append(leaf("audit", row) if isinstance(row.hash, str) else b"")
        expected, previous, cut = row.seq + 1, row.hash, max(cut, until_of(row))
    path.end()
    return cut


def _check_trail(connection: Connection, path: _Path, whose: Whose) -> None:
    expected = path.result.cut + 1
    for rows in _pages(connection, trail_events, path.result.cut):
        machines: dict[int, set[str]] = {row.seq: set() for row in rows}
        named = select(trail_machines).where(trail_machines.c.seq.in_(list(machines)))
        times = {row.seq: row.at for row in rows}
        for one in connection.execute(named):
            machines[one.seq].add(one.machine if one.at == times[one.seq] else f"{one.machine}, at another time")
        for row in rows:
            path.result.counts["events"] += 1
            where = f"event {row.seq} ({row.id})"
            if row.seq != expected:
                path.result.find(
                    f"event {expected}", "it is missing" if row.seq == expected + 1 else f"it and all up to {row.seq - 1} are missing"
                )
            if wrong := _event_fault(row, machines[row.seq], whose):
                path.result.find(where, wrong)
            path.append(leaf("trail", row))
            expected = row.seq + 1
    path.end()


def _event_fault(row: Row[Any], machines: set[str], whose: Whose) -> str:
    try:
        digest, event = unpack(row.document)
    except UnreadableEvent as error:
        return f"its document was changed: {error}"
    except TypeError:
        return "its document was changed: it is no longer bytes"
    if digest != row.digest:
        return "its document was changed: it has another digest"
    differing = [name for name in _SAME if getattr(row, name) != getattr(event, name)]
    differing += [name for name, mine in _KEYS.items() if (getattr(row, name) or "") != getattr(event, mine)]
    if row.read_only is not event.is_read_only:
        differing.append("read_only")
    if row.resources != resources_text(event):
        differing.append("resources")
    if machines != set(event.machines):
        differing.append("machines")
    return f"its document says something else of: {', '.join(differing)}" if differing else whose(row, event)


def _check_anchor(anchor: FolderAnchor, stored: list[Row[Any]] | Any, result: Verification) -> None:
    held = {(tree, size): content for tree, size, content in anchor.all()}
    for row in stored:
        content = held.pop((row.tree, row.size), None)
        where = f"anchor {row.tree} {row.size}"
        if content is None:
            if row.anchored_at is not None:
                result.find(where, "the second store has lost it")
            continue
        result.counts["anchored"] += 1
        try:
            same = content == told(row)
        except (ValueError, TypeError):
            same = False
        if not same:
            fault = _content_fault(content)
            result.find(where, f"it was changed in the second store: {fault}" if fault else "the database has another checkpoint than it")
    for tree, size in sorted(held):
        result.find(
            f"checkpoint {tree} {size}", "the second store has it and the database does not: the database was set back, or it was removed"
        )


def _content_fault(content: bytes) -> str:
    try:
        document = json.loads(content)
        return _signature_fault(document["body"], document["signature"], document["kid"], json.dumps(document["publicJwk"]))
    except (ValueError, KeyError, TypeError):
        return "it cannot be read"


def _signature_fault(body: str, signature: str, kid: str, public_jwk: str) -> str:
    try:
        jwk = json.loads(public_jwk)
        if kid_of(jwk["e"], jwk["n"]) != kid or jwk != {**jwk, "kid": kid, "kty": "RSA", "use": "sig", "alg": "RS256"} or len(jwk) != 6:
            return "its key is not the one that it names"
        exponent, modulus = (int.from_bytes(decode(jwk[name]), "big") for name in ("e", "n"))
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public.verify(decode(signature), body.encode(), padding.PKCS1v15(), hashes.SHA256())
        json.loads(body)
    except InvalidSignature:
        return "its signature does not hold: it was changed"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it cannot be read"
    return ""


def _rows(connection: Connection, table: Any) -> Iterator[Row[Any]]:
    for rows in _pages(connection, table):
        yield from rows


def _pages(connection: Connection, table: Any, after: int = 0) -> Iterator[Any]:
    while rows := connection.execute(select(table).where(table.c.seq > after).order_by(table.c.seq).limit(_AT_ONCE)).all():
        yield rows
        after = rows[-1].seq
