"""Where a request comes from: forms are taken from pages of this host only, whatever name a browser was led to believe."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from isthmus.arm.errors import ArmError


def require_host(request: Request, hosts: frozenset[str]) -> None:
    """Pages are shown under our own names only (DNS rebinding); ArmError 421."""
    if request.headers.get("host", "") not in hosts:
        raise ArmError("MisdirectedRequest", "This server is not known under that name.", status=421)


def require_own_page(request: Request, hosts: frozenset[str]) -> None:
    """Browsers say in two headers where a form comes from; one at least must be there, and those that are must name us. ArmError 403."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = (site is None or site == "same-origin") and (origin is None or _is_ours(origin, hosts))
    if not is_ours or (site is None and origin is None):
        raise ArmError(
            "CrossSiteRequest", "This form was sent from another site, or without saying from where. Nothing was done.", status=403
        )


def _is_ours(origin: str, hosts: frozenset[str]) -> bool:
    parsed = urlsplit(origin)
    return parsed.scheme == "https" and parsed.netloc in hosts
