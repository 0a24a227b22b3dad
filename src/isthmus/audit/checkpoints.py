"""Checkpoints: now and then the root of a Merkle tree over everything in order, signed, tied to the one before, kept in a second store.

Two trees: `audit`, whose leaves are the hashes of the chain's records, and `trail`, whose leaves are number, id and digest of its events.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
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


class Ring(Protocol):
    """As much of a key ring as checkpoints need."""

    def signer(self) -> Signer:
        """The key that signs now."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Takes checkpoints and anchors them. `anchor` None: they stay in the database alone.

    Leaves are never changed, so they are read `at_once` at a time without holding anything, and no write waits for more than one row. After
    `most` leaves a checkpoint is signed in between, so that what was done of a long way stays done.
    """

    store: Store
    ring: Ring
    anchor: FolderAnchor | None
    clock: Callable[[], float]
    at_once: int = 5_000
    most: int = 100_000

    def run(self, _planned: datetime) -> None:
        """Checkpoints of each tree that has grown, and whatever the second store does not have yet."""
        for tree in TREES:
            while self.take(tree) == self.most:
                pass
        if self.anchor is not None:
            self._anchor(self.anchor)

    def take(self, tree: str) -> int:
        """A checkpoint over the next leaves, `most` at most; how many it covers anew. 0: the tree has not grown, or another process was
        faster. Raises ArmError 500 `LogHasGaps`: nothing is signed."""
        with self.store.read() as connection:
            last = _newest(connection, tree)
        grown = Tree(last.size, [bytes.fromhex(one) for one in json.loads(last.edge)]) if last else Tree()
        began = grown.size
        while (left := self.most - (grown.size - began)) and self._grow(tree, grown, min(self.at_once, left)):
            pass
        if grown.size == began:
            return 0
        row = _signed(tree, grown, self.ring.signer(), int(self.clock() * 1000), link(last.body, last.signature) if last else "")
        with self.store.begin() as connection:
            dialect.lock_name(connection, "checkpoints")
            present = _newest(connection, tree)
            if (present.size if present else 0) != began:
                return 0
            connection.execute(audit_checkpoints.insert().values(row))
        return grown.size - began

    def _grow(self, tree: str, grown: Tree, limit: int) -> int:
        """Append the next leaves; how many there were."""
        with self.store.read() as connection:
            found = leaves(connection, tree, grown.size, limit)
        for number, data in found:
            if number != grown.size + 1:
                message = f"The log '{tree}' has no entry {grown.size + 1}. Nothing was signed; run 'isthmus audit verify'."
                raise ArmError("LogHasGaps", message, status=500, target=tree)
            grown.append(data)
        return len(found)

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


def _newest(connection: Connection, tree: str) -> Row[Any] | None:
    mine = select(audit_checkpoints).where(audit_checkpoints.c.tree == tree)
    return connection.execute(mine.order_by(audit_checkpoints.c.size.desc()).limit(1)).first()


def _signed(tree: str, grown: Tree, signer: Signer, now: int, previous: str) -> dict[str, Any]:
    body = body_of(tree, grown.size, grown.root, now, previous)
    return {
        "tree": tree,
        "size": grown.size,
        "at": now,
        "body": body,
        "kid": signer.kid,
        "public_jwk": json.dumps(dict(signer.public_jwk), sort_keys=True),
        "signature": encode(signer.sign(body.encode())),
        "edge": json.dumps([one.hex() for one in grown.edge]),
    }


def leaves(connection: Connection, tree: str, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Number and data of the leaves after a number, in order, `limit` at most."""
    table = audit_records if tree == "audit" else trail_events
    columns = (table.c.seq, table.c.hash) if tree == "audit" else (table.c.seq, table.c.id, table.c.digest)
    rows = connection.execute(select(*columns).where(table.c.seq > after).order_by(table.c.seq).limit(limit))
    return [(row.seq, leaf(tree, row)) for row in rows]


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
