"""A return address never leads to another host."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.arm.addresses import LONGEST, local_path

OURS = "https://isthmus.example"


@pytest.mark.parametrize(
    "good",
    [
        "/",
        "/inventory",
        "/inventory?account=123456789012&order=name%20desc&tag=env:prod",
        "/connectors/subscriptions/1a/resourceGroups/aws_1/providers/Microsoft.HybridConnectivity/publicCloudConnectors/conn",
        "/machines/i-0abc?next=https://elsewhere.example//x",
        "/search?q=%2F%2Fx%5C",
        "/a.b/..c/d..",
        "/" + "a" * (LONGEST - 1),
    ],
)
def test_local_pages_are_kept(good: str) -> None:
    assert local_path(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "inventory",
        "https://evil.example/",
        "HTTPS:/evil.example",
        "javascript:alert(1)",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/%2fevil.example",
        "/%252fevil.example",
        "/%255cevil.example",
        "/a//evil.example",
        "/./\\evil.example",
        "/.//evil.example",
        "/x/..//evil.example",
        "/x/../y",
        "/%2e%2e/y",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/%0d%0aSet-Cookie:%20a=b",
        "/%09/evil.example",
        "/%00",
        " /inventory",
        "/inventory ",
        "/inventory\n",
        '/"onload=x',
        "/<script>",
        "/'x",
        "/é",
        "/\u2028",
        "/\ud800",
        "/" + "a" * LONGEST,
    ],
)
def test_everything_else_leads_home(bad: str) -> None:
    assert local_path(bad) == "/"


@given(st.text(alphabet="/\\.%25cCfF?#@:ae\t\n", max_size=24))
def test_no_text_leads_to_another_host(text: str) -> None:
    """However often a server in between decodes it."""
    found = local_path(text)
    for form in (found, unquote(found)):
        assert urlsplit(urljoin(OURS, form.replace("\\", "/"))).netloc == "isthmus.example"


@given(st.from_regex(r"/[a-z0-9/._~-]{0,30}", fullmatch=True))
def test_what_is_kept_is_kept_whole(text: str) -> None:
    assert local_path(text) in (text, "/")
