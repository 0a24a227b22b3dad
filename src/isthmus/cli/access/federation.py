"""`isthmus access federation`: whom accounts trust about people, what to set up at the directory, and its certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.arm.errors import ArmError
from isthmus.cli.access.noun import app
from isthmus.cli.access.trust import access_solution
from isthmus.cli.completion import fixed
from isthmus.cli.formats import Column
from isthmus.cli.nouns import CONNECTOR, Group, Name, connectors_known, find, new_app
from isthmus.cli.output import print_list, print_tree
from isthmus.cli.session import Session, verb

MODES = ("broker", "oidc", "saml", "claims")
_CERTIFICATES = {
    "FINGERPRINT": "fingerprint",
    "SUBJECT": "subject",
    "EXPIRES": "expiresAt",
    "TEMPLATE": "inTemplate",
    "ACCOUNT": "inAccount",
}
_ROLES: dict[str, Column] = {
    "MAPPING": "mapping",
    "ROLE": "roleArn",
    "GROUPS": lambda item: ", ".join(item["groups"]),
    "CLIENT ID": "clientId",
}
_EXAMPLE = CONNECTOR.example

federation = new_app("Whom an account trusts about people: Isthmus, or your directory itself.")
app.add_typer(federation, name="federation")

Mode = Annotated[str, typer.Option("--mode", help="broker, oidc, saml or claims.", autocompletion=fixed(*MODES))]
Metadata = Annotated[Path | None, typer.Option("--metadata", help="File with the federation metadata XML of the directory's application.")]


@verb(
    federation,
    "steps",
    examples={
        f"access federation steps {_EXAMPLE}": "What has to be set up for the present mode",
        f"access federation steps {_EXAMPLE} --mode saml": "Before it is chosen",
    },
    complete={"name": connectors_known},
)
def steps(session: Session, name: Name, *, group: Group = "", mode: Mode = "") -> None:
    """Say what to set up at the directory, line by line: applications, claims and attributes, groups, policies."""
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    told = session.client.post(f"{solution}/federationSteps", {"federation": mode} if mode else None).body
    if not session.output.is_for_people:
        print_tree(told, session.output)
        return
    for number, step in enumerate(told["steps"], 1):
        typer.echo(f"{number}. {step['title']}\n   {step['details']}")
        for one in step["values"]:
            typer.echo(f"   {one['name']} = {one['value']}")
    print_list(told["roles"], _ROLES, session.output)
    for one in told.get("unfit") or ():
        session.say(f"Mapping '{one['mapping']}' does not fit, and the mode is refused with it ({one['property']}): {one['details']}")
    session.say(told["offboarding"])


@verb(
    federation,
    "use",
    examples={
        f"access federation use {_EXAMPLE} --mode saml --metadata entra.xml": "Let the account trust the directory by SAML",
        f"access federation use {_EXAMPLE} --mode oidc --issuer https://sts.windows.net/TENANT-ID/": "By tokens that tell of MFA",
        f"access federation use {_EXAMPLE} --mode broker": "Back to tokens of Isthmus",
    },
    complete={"name": connectors_known},
)
def use(
    session: Session,
    name: Name,
    *,
    mode: Mode,
    group: Group = "",
    issuer: Annotated[str, typer.Option("--issuer", help="For oidc and claims: the issuer, to the last slash.")] = "",
    client_id: Annotated[str, typer.Option("--client-id", help="For claims: the one application of all roles.")] = "",
    audience: Annotated[str, typer.Option("--audience", help="For claims: what the directory's calls are made for.")] = "",
    metadata: Metadata = None,
) -> None:
    """Choose whom the account trusts; it does with the next update of its stack."""
    settings = {"federation": mode, "federationIssuer": issuer, "federationClientId": client_id, "claimsAudience": audience}
    chosen = {key: value for key, value in settings.items() if value}
    _require_fitting(mode, metadata)
    if metadata is not None:
        chosen["samlMetadata"] = _text(metadata)
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    made = session.client.patch(solution, {"properties": {"solutionSettings": chosen}}).body
    _certificates(session, made["properties"].get("federation"))
    session.say(f"Update the account's stack now: isthmus connector template {name} --output-file template.json")


@verb(
    federation,
    "show",
    examples={f"access federation show {_EXAMPLE}": "See the certificates and when they expire"},
    complete={"name": connectors_known},
)
def show(session: Session, name: Name, *, group: Group = "") -> None:
    """Show the mode and the directory's certificates: in the template, and in the account as the last sync saw it."""
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    found = session.client.get(solution)["properties"]
    _certificates(session, found.get("federation"))
    session.say(f"Federation: {found['solutionSettings'].get('federation', 'broker')}. {found['statusDetails']}")


@verb(
    federation,
    "add-certificate",
    examples={f"access federation add-certificate {_EXAMPLE} --metadata next.xml": "Before the directory signs with its next certificate"},
    complete={"name": connectors_known},
)
def add_certificate(
    session: Session,
    name: Name,
    *,
    metadata: Annotated[Path, typer.Option("--metadata", help="File with metadata that names the next certificate.")],
    group: Group = "",
) -> None:
    """Let the account hold the next certificate beside the present one, so that no sign-in fails at the switch."""
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    made = session.client.post(f"{solution}/addCertificate", {"metadata": _text(metadata)}).body
    _certificates(session, made["federation"])
    session.say("Update the account's stack, then let the directory switch, then retire the old one: access federation retire-certificate")


@verb(
    federation,
    "retire-certificate",
    examples={f"access federation retire-certificate {_EXAMPLE} FINGERPRINT": "After the directory signs with the next one"},
    complete={"name": connectors_known},
)
def retire_certificate(
    session: Session,
    name: Name,
    fingerprint: Annotated[str, typer.Argument(help="SHA-256 of the certificate, as 'access federation show' lists it.")],
    *,
    group: Group = "",
) -> None:
    """Take a certificate out of the template. The last one stays."""
    solution = access_solution(session, find(session, CONNECTOR, name, group), name)
    made = session.client.post(f"{solution}/retireCertificate", {"fingerprint": fingerprint}).body
    _certificates(session, made["federation"])
    session.say(f"Update the account's stack now: isthmus connector template {name} --output-file template.json")


def _certificates(session: Session, shown: dict[str, Any] | None) -> None:
    print_list((shown or {}).get("certificates", []), _CERTIFICATES, session.output)


def _require_fitting(mode: str, metadata: Path | None) -> None:
    if metadata is not None and mode in MODES and mode != "saml":
        told = f"--metadata belongs to --mode saml, not to {mode}. Leave it out, or choose saml."
        raise ArmError("ContradictingOptions", told, target="metadata")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ArmError("UnreadableFile", f"'{file}' cannot be read: {error.strerror or error}.", target=str(file)) from error
    except ValueError as error:
        raise ArmError("UnreadableFile", f"'{file}' does not hold text (UTF-8).", target=str(file)) from error
