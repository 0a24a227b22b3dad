"""Merkle tree hashes (RFC 6962, section 2.1) of a list that only grows, kept as the hashes of its whole subtrees."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree to append to. `edge` are the hashes of its whole subtrees, the largest first: one for each bit that is set in `size`.

    Raises ValueError for an edge that does not belong to the size.
    """

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        if size < 0 or len(edge) != size.bit_count() or any(len(one) != 32 for one in edge):
            raise ValueError(f"an edge of {len(edge)} hashes is not that of {size} leaves")
        self.size = size
        self.edge = list(edge)

    def append(self, data: bytes) -> None:
        """Add a leaf; on average two hashes."""
        found, carry = leaf_hash(data), self.size
        while carry & 1:
            found = node_hash(self.edge.pop(), found)
            carry >>= 1
        self.edge.append(found)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The Merkle tree hash of all leaves."""
        if not self.edge:
            return hashlib.sha256(b"").digest()
        found = self.edge[-1]
        for one in reversed(self.edge[:-1]):
            found = node_hash(one, found)
        return found
