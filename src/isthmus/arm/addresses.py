"""Addresses within this server that came from outside: where a person goes on after signing in."""

from __future__ import annotations

import re
from urllib.parse import unquote

LONGEST = 1024
HOME = "/"
# What a browser sends: visible ASCII without what ends an attribute, and without the backslash that browsers read as a slash.
_SENT = re.compile(r"/[!#-&(-;=?-\[\]_a-z~]*\Z")


def local_path(given: str) -> str:
    """`given` if it is the absolute path of a page of this server (with or without a query), `/` for everything else.

    Browsers take `//host`, `/\\host` and forms that decode to them for other hosts, and drop tabs and line breaks before they look; a
    redirect to any of these would lend our name to a stranger's page. Dot segments are refused since they may leave such a form behind.
    """
    if not isinstance(given, str) or len(given) > LONGEST or not _SENT.match(given):
        return HOME
    path = given.partition("?")[0].partition("#")[0]
    # Twice encoded text is decoded again by careless servers in between.
    for form in (path, unquote(path), unquote(unquote(path))):
        if "//" in form or "\\" in form or not form.isprintable() or any(part in (".", "..") for part in form.split("/")):
            return HOME
    return given
