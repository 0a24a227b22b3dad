"""`isthmus connector`: connect AWS accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.nouns import CONNECTOR, Group, Location, Name, NewGroup, Tags, app_of, find, in_group, tags_of
from isthmus.cli.output import Output, print_item, print_json, print_list
from isthmus.cli.session import Session, verb

app = app_of(CONNECTOR, create=False)


@verb(app, "create")
def create(
    session: Session,
    *,
    account: Annotated[str, typer.Option("--account", help="AWS account id, 12 digits.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the connector. Empty: aws-<account>.")] = "",
    group: NewGroup = "isthmus",
    location: Location = "eastus",
    tag: Tags = [],  # noqa: B006 - Typer copies defaults
) -> None:
    """Connect an AWS account."""
    name = name or f"aws-{account}"
    properties = {"hostType": "AWS", "awsCloudProfile": {"accountId": account}}
    path = f"{session.root}/resourceGroups/{group}/providers/{CONNECTOR.type}/{name}"
    body = {"location": location, "tags": tags_of(tag), "properties": properties}
    with in_group(session, group, location):
        made = session.client.put(path, body).body
    print_item(made, session.output)
    session.say(
        f"Next: 'isthmus solution create --connector {name} --type inventory', then deploy what "
        f"'isthmus connector template {name} --output-file template.json' writes."
    )


@verb(app, "template")
def template(
    session: Session,
    name: Name,
    *,
    group: Group = "",
    output_file: Annotated[Path | None, typer.Option("--output-file", help="File to write. Empty: standard output.")] = None,
    solution: Annotated[
        list[str], typer.Option("--solution", help="Solution type to allow, with its defaults. Empty: the configured ones.")
    ] = [],  # noqa: B006 - Typer copies defaults
) -> None:
    """Make the CloudFormation template that gives Isthmus its roles in the account."""
    connector = session.client.get(find(session, CONNECTOR, name, group))
    asked: dict[str, object] = {"connectorId": connector["id"]}
    if solution:
        asked["solutionTypes"] = [{"solutionType": solution_type(kind)} for kind in solution]
    body = session.client.post(f"{session.root}/providers/Microsoft.HybridConnectivity/generateAwsTemplate", asked).body
    if output_file is None:
        print_json(body)
        return
    output_file.write_text(json.dumps(body, indent=1) + "\n")
    account = connector["properties"]["awsCloudProfile"]["accountId"]
    stack = f"Isthmus-{connector['properties']['connectorPrimaryIdentifier'][:8]}"
    session.say(f"Wrote {output_file}. With administrator rights in AWS account {account}, deploy it:")
    session.say(
        f"  aws cloudformation deploy --region us-east-1 --stack-name {stack} --template-file {output_file} "
        "--capabilities CAPABILITY_NAMED_IAM"
    )
    session.say(f"Then: isthmus connector test-permissions {name}")
    if session.output is Output.JSON:
        print_json({"file": str(output_file), "stack": stack, "account": account})


@verb(app, "test-permissions")
def check_permissions(session: Session, name: Name, *, group: Group = "") -> None:
    """Try every solution's role in the account; exit code 1 when one does not work."""
    answer = session.client.post(f"{find(session, CONNECTOR, name, group)}/testPermissions")
    with session.progress("Testing the roles in the account"):
        results = (session.client.wait(answer) or {}).get("solutionTypes", [])
    columns = {"SOLUTION": "solutionType", "STATUS": "status", "DETAILS": "statusDetails"}
    print_list(results, columns, session.output)
    if not results:
        session.say(f"The connector has no solution yet: isthmus solution create --connector {name} --type inventory")
    if any(result["status"] != "Connected" for result in results):
        session.say(f"Deploy the template, or deploy it again: isthmus connector template {name} --output-file template.json")
        raise typer.Exit(1)


SHORT = {"inventory": "Microsoft.AssetManagement", "onboarding": "Microsoft.HybridCompute.Onboard"}


def solution_type(word: str) -> str:
    """A solution type by its short name or its own."""
    return SHORT.get(word.lower(), word)
