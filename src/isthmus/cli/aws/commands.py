"""`isthmus aws`: take a role of an account by your directory identity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.agent import Agent, Whereabouts, find_agent, token_file
from isthmus.cli.aws.cache import Cache, Credentials
from isthmus.cli.aws.profiles import with_profiles
from isthmus.cli.aws.taking import SESSIONS, Role, take
from isthmus.cli.formats import Column
from isthmus.cli.labels import ROLES
from isthmus.cli.nouns import new_app
from isthmus.cli.output import print_list
from isthmus.cli.session import Session, verb
from isthmus.client import is_for_isthmus_alone, kept_since
from isthmus.client.private import write_private

app = new_app("Roles of AWS accounts, taken by your directory identity.")

REQUESTS = "/providers/Isthmus.Access/requests"
_WAIT = 10.0
COLUMNS: dict[str, Column] = {
    "ROLE": "name",
    "ACCOUNT": "properties.accountId",
    "STATE": "properties.state",
    "DETAILS": "properties.stateDetails",
}


@verb(app, "roles", examples={"aws roles": "See what you may take", "aws roles --output json": "For a program"})
def roles(session: Session) -> None:
    """List the roles that you may take, and what is missing for others."""
    found = list(session.client.list(ROLES))
    if any(one["properties"]["state"] == "RequestNeeded" for one in found):
        asked = {str(one["properties"]["role"]): one for one in session.client.list(REQUESTS, query={"whose": "mine", "state": "Pending"})}
        found = [_with_request(one, asked.get(str(one["name"]))) for one in found]
    print_list(found, COLUMNS, session.output)


def _with_request(role: dict[str, Any], request: dict[str, Any] | None) -> dict[str, Any]:
    """A role with what came of asking for it, instead of the advice to ask."""
    if request is None or role["properties"]["state"] != "RequestNeeded":
        return role
    asked = request["properties"]
    minutes = max(0, int(time.time() - datetime.fromisoformat(asked["askedAt"]).timestamp()) // 60)
    told = f"Requested {minutes} min ago, {asked['approvals']} of {asked['approvalsNeeded'] or '?'} approvals: {request['name']}"
    return {**role, "properties": {**role["properties"], "stateDetails": told, "request": request["name"]}}


@verb(
    app,
    "credentials",
    examples={
        "aws credentials --role 123456789012.Reader": "Print them as a credential_process does",
        "aws credentials --role 123456789012.Reader --no-agent": "Ask the server, whatever an agent holds",
    },
)
def credentials(
    session: Session,
    *,
    role: Role,
    agent: Annotated[bool, typer.Option(help="Let an agent on this computer keep and renew them.")] = True,
) -> None:
    """Print credentials of a role as AWS' credential_process wants them."""
    made = _through_agent(session, role) if agent else take(session, role).credentials
    typer.echo(
        json.dumps(
            {
                "Version": 1,
                "AccessKeyId": made.access_key,
                "SecretAccessKey": made.secret_key,
                "SessionToken": made.session_token,
                "Expiration": made.expiration,
            }
        )
    )


@verb(
    app,
    "run",
    examples={
        "aws run --role 123456789012.Reader -- aws s3 ls": "Run a command as the role",
        "aws run --role 123456789012.Reader -- bash": "Work in a shell as the role",
    },
    codes={0: "What the command itself ends with."},
)
def run(
    session: Session,
    command: Annotated[list[str], typer.Argument(help="Command and its arguments, after --.")],
    *,
    role: Role,
) -> None:
    """Run a command with a role: AWS' SDKs in it ask the agent, which renews in time."""
    there = _agent(session)
    # The first fetch happens here, so that a refusal is told once and not by every call of the command.
    _ask(there, role)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_ACCESS_", "AWS_SECRET_", "AWS_SESSION_"))}
    environ.pop("AWS_PROFILE", None)
    if is_for_isthmus_alone(Path(environ.get("REQUESTS_CA_BUNDLE", "")), session.ca):
        # Where AWS_CA_BUNDLE is not set, AWS' SDKs trust this file and nothing else.
        del environ["REQUESTS_CA_BUNDLE"]
    environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{there.url}/{role}"
    environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(token_file(_file(session)))
    try:
        ended = subprocess.run(command, env=environ, check=False).returncode
    except OSError as error:
        raise ArmError("CommandNotRun", f"'{command[0]}' could not be run: {error.strerror}.", target=command[0]) from error
    raise typer.Exit(ended if ended >= 0 else 128 - ended)


@verb(
    app,
    "profiles",
    examples={"aws profiles": "Write a profile for each role", "aws profiles --prefix work-": "With names of your choice"},
    environment={"AWS_CONFIG_FILE": "The file to write to. Default: ~/.aws/config."},
)
def profiles(
    session: Session,
    *,
    prefix: Annotated[str, typer.Option("--prefix", help="What the names of profiles begin with.")] = "isthmus-",
    region: Annotated[str, typer.Option("--region", help="Region of new profiles. Empty: none.")] = "",
) -> None:
    """Write a profile of AWS' configuration for each role that you may take. Other profiles stay as they are."""
    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    place = f" --url {session.place.url}" if session.url else ""
    more = {"region": region} if region else {}
    states = {str(one["name"]): one["properties"]["state"] for one in session.client.list(ROLES)}
    found = [name for name, state in states.items() if state in ("Available", "RequestNeeded")]
    made = [(f"{prefix}{name}", {"credential_process": f"isthmus aws credentials --role {name}{place}", **more}) for name in found]
    write_private(path, with_profiles(path.read_text() if path.exists() else "", made))
    session.say(f"{len(made)} profile{'' if len(made) == 1 else 's'} in {path}.{_first_step(prefix, found, states)}")


def _first_step(prefix: str, found: Sequence[str], states: Mapping[str, str]) -> str:
    """What to do with the profiles first: try one that works now, else ask for a role."""
    ready = next((name for name in found if states[name] == "Available"), "")
    if ready:
        return f" Try: aws --profile {prefix}{ready} sts get-caller-identity"
    return f' Each needs a request first: isthmus access request {found[0]} --reason "WHY"' if found else ""


@verb(
    app,
    "agent",
    examples={"aws agent": "Keep credentials in memory for the tools of this computer, until nobody asks for an hour"},
)
def agent(session: Session) -> None:
    """Run the agent in the foreground; 'credentials' and 'run' start one by themselves."""
    place = session.place
    sign_in = partial(kept_since, place, os.environ)
    cache = Cache(partial(_fetch, session), time.time, is_live=partial(_is_live, session), sign_in=sign_in)
    made = Agent(cache, time.time)
    made.whereabouts.write(_file(session))
    session.say(f"Answers on 127.0.0.1:{made.port}.")
    made.serve()


def _fetch(session: Session, role: str) -> Credentials:
    with session.anew() as now:
        return take(now, role).credentials


def _is_live(session: Session, held: Credentials) -> bool:
    with session.anew() as now:
        return bool(now.client.get(f"{SESSIONS}/{held.access_key}")["properties"]["state"] == "Live")


def _through_agent(session: Session, role: str) -> Credentials:
    return _ask(_agent(session), role)


def _ask(there: Whereabouts, role: str) -> Credentials:
    try:
        answer = httpx.get(f"{there.url}/{role}", headers={"Authorization": there.token}, timeout=60, trust_env=False)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ArmError(
            "AgentNotReachable", f"The agent on {there.url} does not answer. Run it again: isthmus aws agent", status=503
        ) from error
    if answer.status_code != 200:
        raise ArmError(str(body.get("code", "AgentFailed")), str(body.get("message", "")), status=answer.status_code)
    given = {"accessKeyId": "AccessKeyId", "secretAccessKey": "SecretAccessKey", "sessionToken": "Token", "expiration": "Expiration"}
    return Credentials.of({name: body[theirs] for name, theirs in given.items()})


def _agent(session: Session) -> Whereabouts:
    """The running agent, or one that is started now, as a process of its own that ends when it is idle."""
    there = find_agent(_file(session))
    if there is not None:
        return there
    place = ["--url", session.url] if session.url else ["--data", str(session.data)]
    place += ["--ca", str(session.ca)] if session.ca else []
    subprocess.Popen(
        [sys.executable, "-m", "isthmus", "aws", "agent", *place],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + _WAIT
    while time.monotonic() < deadline:
        there = find_agent(_file(session))
        if there is not None:
            return there
        session.sleep(0.05)
    raise ArmError("AgentNotStarted", "The agent could not be started. See why: isthmus aws agent", status=503)


def _file(session: Session) -> Path:
    """Where the agent for this server says where it is."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(home) / "isthmus" / f"agent-{session.place_key}.json"
