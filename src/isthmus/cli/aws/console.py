"""`isthmus aws console`: a role's session in the AWS console.

The federation endpoint turns credentials into a sign-in token, and the token into a signed-in browser. Without a duration the console's
session ends with the credentials, and their lease holds in it.
Source: IAM User Guide, "Enable custom identity broker access to the AWS console".
"""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import typer

from isthmus.arm.errors import ArmError, invalid, unavailable
from isthmus.cli.aws.commands import app
from isthmus.cli.aws.redirect import Redirect
from isthmus.cli.aws.taking import Role, Taken, take
from isthmus.cli.browser import open_page
from isthmus.cli.session import Session, verb

__all__ = ["app"]

DOMAINS: Final[Mapping[str, str]] = {"aws": "aws.amazon.com", "aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}
"""Where sign-in and console of each partition are."""
VISIT_SECONDS: Final = 60.0
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")


@verb(
    app,
    "console",
    examples={
        "aws console --role 123456789012.Reader": "Open the console as the role",
        "aws console --role 123456789012.Reader --destination '/ec2/home?region=eu-west-1'": "At a page of it",
        "aws console --role 123456789012.Reader --print": "Print the address, for a browser elsewhere",
    },
    environment={"BROWSER, DISPLAY, WAYLAND_DISPLAY": "Without any of them (and elsewhere than on macOS) no browser is opened."},
)
def console(
    session: Session,
    *,
    role: Role,
    print_address: Annotated[bool, typer.Option("--print", help="Print the address: who has it is signed in.")] = False,
    destination: Annotated[str, typer.Option("--destination", help="Page of the console, as a path.")] = "/",
) -> None:
    """Open the AWS console with a role. It works until the lease ends, at most five minutes; then run this again."""
    checked_path(destination)
    address = login_address(take(session, role, use="console"), session.place.url, destination, os.environ)
    if print_address:
        typer.echo(address)
        return
    with Redirect(address) as page:
        if not open_page(page.url):
            where = f" --destination {shlex.quote(destination)}" if destination != "/" else ""
            again = f"isthmus aws console --role {role}{where} --print"
            raise ArmError("NoBrowser", f"No browser could be opened on this computer. Print the address: {again}")
        if not page.wait(VISIT_SECONDS):
            raise ArmError("NoBrowser", f"The browser did not come within {VISIT_SECONDS:.0f} seconds. Run it again, or with --print.")


def checked_path(destination: str) -> str:
    """The path, which stays on the console's host. ArmError 400 `InvalidDestination`."""
    if not _PATH.fullmatch(destination):
        message = f"A page of the console is a path that begins with one '/', not '{destination[:100]}'."
        raise invalid(message, target="destination", code="InvalidDestination")
    return destination


def login_address(taken: Taken, issuer: str, destination: str, environ: Mapping[str, str]) -> str:
    """The address that signs a browser in; good for 15 minutes at most. ArmError 409 `ConsoleRefused`, 503 when nobody answers."""
    domain = DOMAINS[taken.partition]
    endpoint = federation_endpoint(domain, environ)
    wanted = {
        "Action": "login",
        "Issuer": issuer,
        "Destination": f"https://console.{domain}{checked_path(destination)}",
        "SigninToken": _token(taken, endpoint, environ),
    }
    return f"{endpoint}?{urlencode(wanted)}"


def federation_endpoint(domain: str, environ: Mapping[str, str]) -> str:
    """AWS' own, unless `AWS_ENDPOINT_URL` names one on this computer."""
    custom = environ.get("AWS_ENDPOINT_URL", "") if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true" else ""
    is_near = bool(custom) and _LOOPBACK.fullmatch(urlsplit(custom).hostname or "") is not None
    return f"{custom.rstrip('/') if is_near else f'https://signin.{domain}'}/federation"


def _token(taken: Taken, endpoint: str, environ: Mapping[str, str]) -> str:
    """Sent as a form, so that no log of addresses holds credentials; as AWS documents it where the form is not taken. What httpx raises is
    not told on: it may show the address."""
    made = taken.credentials
    told = {"sessionId": made.access_key, "sessionKey": made.secret_key, "sessionToken": made.session_token}
    wanted = {"Action": "getSigninToken", "Session": json.dumps(told, separators=(",", ":"))}
    is_near = endpoint.startswith("http:")
    trust = ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE") or None)
    try:
        with httpx.Client(verify=trust, trust_env=not is_near, timeout=30) as client:
            answer = client.post(endpoint, data=wanted)
            if not _found(answer):
                answer = client.get(endpoint, params=wanted)
    except httpx.HTTPError as error:
        raise unavailable(f"{urlsplit(endpoint).netloc} does not answer ({type(error).__name__}). Try again.") from None
    token = _found(answer)
    if not token:
        raise ArmError(
            "ConsoleRefused",
            f"AWS' sign-in refused the session (HTTP {answer.status_code}). Run it again; is the role allowed yet?",
            status=409,
        )
    return token


def _found(answer: httpx.Response) -> str:
    try:
        said: Any = answer.json() if answer.status_code == 200 else None
    except ValueError:
        return ""
    return str(said.get("SigninToken") or "") if isinstance(said, dict) else ""
