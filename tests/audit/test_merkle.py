"""The tree's hashes are those of RFC 6962, however it was grown."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.audit.merkle import Tree, leaf_hash, node_hash

# Roots of the test data of Google's Certificate Transparency code, which RFC 6962 implementations share.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(mth(leaves[:split]), mth(leaves[split:]))


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_the_shared_test_vectors_hold(size: int, root: str) -> None:
    tree = Tree()
    for text in LEAVES[:size]:
        tree.append(bytes.fromhex(text))
    assert tree.root.hex() == root


@given(leaves=st.lists(st.binary(max_size=8), max_size=70), cut=st.integers(0, 70))
def test_growing_from_an_edge_is_growing_from_the_start(leaves: list[bytes], cut: int) -> None:
    first = Tree()
    for leaf in leaves[:cut]:
        first.append(leaf)
    tree = Tree(first.size, first.edge)
    for leaf in leaves[cut:]:
        tree.append(leaf)
    assert tree.root == mth(leaves)


def test_an_edge_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="edge"):
        Tree(3, [b"x" * 32])
