"""Checkpoints: now and then the root of a Merkle tree over everything in order, signed, tied to the one before, kept in a second store.

Two trees: `audit`, whose leaves are the hashes of the chain's records, and `trail`, whose leaves are number, id and digest of its events.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, Row, select, update

from isthmus.arm.errors import ArmError
from isthmus.audit.anchors import FolderAnchor
from isthmus.audit.merkle import Tree
from isthmus.keys.signer import Signer, encode
from isthmus.store import Store, dialect
from isthmus.store.tables import audit_checkpoints, audit_records, trail_events

TREES: Final = ("audit", "trail")
_log = structlog.get_logger("isthmus.audit")
_AT_ONCE = 10_000


class Ring(Protocol):
    """As much of a key ring as checkpoints need."""

    def signer(self) -> Signer:
        """The key that signs now."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Takes checkpoints and anchors them. `anchor` None: they stay in the database alone."""

    store: Store
    ring: Ring
    anchor: FolderAnchor | None
    clock: Callable[[], float]

    def run(self, _planned: datetime) -> None:
        """A checkpoint of each tree that has grown, and whatever the second store does not have yet."""
        for tree in TREES:
            with self.store.begin() as connection:
                take(connection, tree, self.ring.signer(), int(self.clock() * 1000))
        if self.anchor is not None:
            self._anchor(self.anchor)

    def _anchor(self, anchor: FolderAnchor) -> None:
        waiting = select(audit_checkpoints).where(audit_checkpoints.c.anchored_at.is_(None))
        with self.store.read() as connection:
            rows = connection.execute(waiting.order_by(audit_checkpoints.c.tree, audit_checkpoints.c.size)).all()
        for row in rows:
            try:
                anchor.add(row.tree, row.size, told(row))
            except (OSError, ArmError) as error:
                _log.error("a checkpoint is not anchored", tree=row.tree, size=row.size, reason=str(error))
                return
            mine = (audit_checkpoints.c.tree == row.tree, audit_checkpoints.c.size == row.size)
            with self.store.begin() as connection:
                connection.execute(update(audit_checkpoints).where(*mine).values(anchored_at=int(self.clock() * 1000)))


def take(connection: Connection, tree: str, signer: Signer, now: int) -> int | None:
    """A checkpoint over all leaves; its size, or None when the tree has not grown. Raises ArmError 500 `LogHasGaps`: nothing is signed."""
    dialect.lock_name(connection, "checkpoints")
    newest = select(audit_checkpoints).where(audit_checkpoints.c.tree == tree).order_by(audit_checkpoints.c.size.desc()).limit(1)
    last = connection.execute(newest).first()
    grown = Tree(last.size, [bytes.fromhex(one) for one in json.loads(last.edge)]) if last else Tree()
    for number, data in leaves(connection, tree, grown.size):
        if number != grown.size + 1:
            message = f"The log '{tree}' has no entry {grown.size + 1}. Nothing was signed; run 'isthmus audit verify'."
            raise ArmError("LogHasGaps", message, status=500, target=tree)
        grown.append(data)
    if last is not None and grown.size == last.size:
        return None
    previous = link(last.body, last.signature) if last else ""
    body = body_of(tree, grown.size, grown.root, now, previous)
    row = {"tree": tree, "size": grown.size, "at": now, "body": body, "kid": signer.kid, "signature": encode(signer.sign(body.encode()))}
    jwk = json.dumps(dict(signer.public_jwk), sort_keys=True)
    edge = json.dumps([one.hex() for one in grown.edge])
    connection.execute(audit_checkpoints.insert().values(**row, public_jwk=jwk, edge=edge))
    return grown.size


def leaves(connection: Connection, tree: str, after: int) -> Iterator[tuple[int, bytes]]:
    """Number and data of every leaf after a number, in order, from one look at the database at a time."""
    table = audit_records if tree == "audit" else trail_events
    columns = (table.c.seq, table.c.hash) if tree == "audit" else (table.c.seq, table.c.id, table.c.digest)
    while True:
        rows = connection.execute(select(*columns).where(table.c.seq > after).order_by(table.c.seq).limit(_AT_ONCE)).all()
        for row in rows:
            yield row.seq, leaf(tree, row)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].seq


def leaf(tree: str, row: Row[Any]) -> bytes:
    """The data of a leaf."""
    return bytes(row.hash.encode()) if tree == "audit" else f"{row.seq} {row.id} {row.digest}".encode()


def body_of(tree: str, size: int, root: bytes, at: int, previous: str) -> str:
    """The text that is signed."""
    return canonical({"tree": tree, "size": size, "root": root.hex(), "at": at, "previous": previous})


def link(body: str, signature: str) -> str:
    """What the next checkpoint says of this one."""
    return hashlib.sha256(f"{body}.{signature}".encode()).hexdigest()


def told(row: Row[Any]) -> bytes:
    """A checkpoint as the second store has it."""
    told = {"body": row.body, "signature": row.signature, "kid": row.kid, "publicJwk": json.loads(row.public_jwk)}
    return f"{canonical(told)}\n".encode()


def canonical(document: Mapping[str, Any]) -> str:
    """JSON in one way only."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> bytes:
    """base64url without padding; ValueError for anything that `encode` does not write."""
    found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(found) != text:
        raise ValueError("not base64url")
    return found
