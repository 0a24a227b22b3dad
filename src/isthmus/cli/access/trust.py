"""`isthmus access lint` and `isthmus access why`: whom an account trusts, and why a person may take a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.access.noun import app
from isthmus.cli.access.people import find_person
from isthmus.cli.completion import fixed, members, offering
from isthmus.cli.connector import SHORT
from isthmus.cli.labels import ROLES, suggesting
from isthmus.cli.nouns import CONNECTOR, SOLUTION, Group, Name, connectors_known, find
from isthmus.cli.output import clean, print_list, print_tree
from isthmus.cli.session import Session, verb

SEVERITIES = ("Error", "Warning", "Note")
roles_known = offering(members(ROLES))
_FINDINGS = {"SEVERITY": "severity", "RULE": "rule", "RESOURCE": "resource", "DETAILS": "details"}
_STEPS = {"STEP": "name", "HOLDS": "holds", "DETAILS": "details"}


@verb(
    app,
    "lint",
    examples={
        "access lint aws-123456789012": "Judge whom the account trusts",
        "access lint aws-123456789012 --least Error": "Only what has to change",
        "access lint aws-123456789012 --output json": "With remedies, for a program",
    },
    complete={"name": connectors_known},
    codes={1: "An error was found, a part could not be read, or the lint could not be made."},
)
def lint(
    session: Session,
    name: Name,
    *,
    group: Group = "",
    least: Annotated[
        str, typer.Option("--least", help="Show nothing milder: Error, Warning or Note.", autocompletion=fixed(*SEVERITIES))
    ] = "Note",
) -> None:
    """Judge whom the account of a connector trusts: roles, identity providers, users with keys."""
    if least.capitalize() not in SEVERITIES:
        raise ArmError("InvalidSeverity", f"'{least[:32]}' is no severity. There are: {', '.join(SEVERITIES)}.")
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    answer = session.client.post(f"{solution}/lint")
    with session.progress("Reading whom the account trusts"):
        result: Mapping[str, Any] = session.client.wait(answer) or {}
    shown = [one for one in result["findings"] if SEVERITIES.index(one["severity"]) <= SEVERITIES.index(least.capitalize())]
    if session.output.is_tree:
        print_tree({**result, "findings": shown}, session.output)
    else:
        print_list(shown, _FINDINGS, session.output)
        _tell(session, result, shown)
    if result["counts"]["Error"] or result["notRead"]:
        raise typer.Exit(1)


@verb(
    app,
    "why",
    examples={
        "access why me 123456789012.Operator": "Why do I hold this role, or why not?",
        "access why alice@example.com 123456789012.Operator": "As somebody who may read everything",
    },
    complete={"role": roles_known},
    codes={0: "The person may take the role now.", 1: "They may not, or it could not be found out."},
)
def why(
    session: Session,
    person: Annotated[str, typer.Argument(help="Object id, mail address or name of the person, or 'me'.")],
    role: Annotated[str, typer.Argument(help="Role as account and name: 123456789012.Operator.")],
) -> None:
    """Explain whether a person may take a role now: every step, the lines of the mapping, the grant, until when."""
    body = {} if person.lower() == "me" else {"person": find_person(session, person)[0]}
    with suggesting(session, role):
        found = session.client.post(f"{ROLES}/{role}/why", body).body
    if session.output.is_tree:
        print_tree(found, session.output)
    else:
        print_list(found["steps"], _STEPS, session.output)
    if session.output.is_for_people:
        for line in _story(found):
            session.say(line)
    if not found["allowed"]:
        raise typer.Exit(1)


def _tell(session: Session, result: Mapping[str, Any], shown: list[Mapping[str, Any]]) -> None:
    """What there is to do, once per rule, and what was not looked at."""
    for rule, remedy in dict.fromkeys((one["rule"], one["remedy"]) for one in shown):
        session.say(f"{rule}: {remedy}")
    for one in result["notRead"]:
        session.say(f"Not read: {one['part']}. {one['reason']}")
    counts, looked = result["counts"], result["lookedAt"]
    providers = looked["oidcProviders"] + looked["samlProviders"]
    session.say(
        f"{_number(counts['Error'], 'error', 'errors')}, {_number(counts['Warning'], 'warning', 'warnings')}, "
        f"{_number(counts['Note'], 'note', 'notes')} in account {result['accountId']}; looked at "
        f"{_number(looked['roles'], 'role', 'roles')}, "
        f"{_number(providers, 'identity provider', 'identity providers')} and {_number(looked['users'], 'user', 'users')}."
    )


def _story(found: Mapping[str, Any]) -> list[str]:
    """The rest of an explanation in sentences."""
    who = found["personName"] or found["person"]
    lines = [f"{who} may take {found['role']} until {found['until']}." if found["allowed"] else f"{who} {_refusal(found)}"]
    lines += [
        f"Mapping: {one['property']} = {_words(one['value'])}" + (f" ({one['step']})" if one["step"] else "") for one in found["policy"]
    ]
    lines += [f"Grant {one['id']} because of {one['because']}, until {one['endsAt']}." for one in found["grants"]]
    if found.get("suggestedActions"):
        lines.append(f"Used so far, and enough by least privilege: {', '.join(found['suggestedActions'])}.")
    last = found["lastSession"]
    ended = f", taken away at {last['revokedAt']}" if last and last["revokedAt"] else ""
    lines.append(
        f"Last session: {last['accessKeyId']} at {last['issuedAt']} under grant {last['grant']}{ended}." if last else "No session yet."
    )
    return lines


def _refusal(found: Mapping[str, Any]) -> str:
    """What refuses, in the words of the step; the code last, for whoever looks it up."""
    why_not = next((str(one["details"]) for one in found["steps"] if not one["holds"]), "")
    return f"may not take {found['role']}: {why_not} [{found['code']}]" if why_not else f"may not take {found['role']}: {found['code']}."


def _words(value: Any) -> str:
    """What a mapping demands, without brackets and quotes."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {' or '.join(map(str, values))}" for name, values in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else clean(value)


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def access_solution(session: Session, connector: str, name: str) -> str:
    """The id of the connector's access configuration."""
    for solution in session.client.list(f"{connector}/providers/{SOLUTION.type}"):
        if solution["properties"]["solutionType"].lower() == SHORT["access"].lower():
            return str(solution["id"])
    raise ArmError(
        "NoSolutionConfigured",
        f"Connector '{name}' has no access solution. Add it with 'isthmus solution create --connector {name} --type access'.",
        status=404,
        target=connector,
    )
