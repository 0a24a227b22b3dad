"""Actions against the patterns of policies: what was matched once is known.

An estate's policies hold hundreds of patterns, and each call is held against all of them, so that matching was a sixth of the lab's work.
A match depends on nothing but its two texts.
"""

from functools import lru_cache

from ministack.core import iam_evaluator

_KNOWN = 65_536


def remember_matches() -> None:
    """Let ministack ask for each pair of action and pattern once. Safe to repeat."""
    plain = iam_evaluator.fnmatch_iam
    if not hasattr(plain, "cache_info"):
        iam_evaluator.fnmatch_iam = lru_cache(_KNOWN)(plain)
