"""`isthmus connector`: connect AWS accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli.completion import fixed
from isthmus.cli.formats import Output, as_yaml
from isthmus.cli.nouns import CONNECTOR, Group, Location, Name, NewGroup, Tags, app_of, connectors_known, find, in_group, tags_of
from isthmus.cli.output import print_item, print_list, print_tree
from isthmus.cli.session import Session, verb

app = app_of(CONNECTOR, create=False)

SHORT = {"inventory": "Microsoft.AssetManagement", "onboarding": "Microsoft.HybridCompute.Onboard", "access": "Isthmus.Access"}
solutions_known = fixed(*SHORT)


@verb(
    app,
    "create",
    examples={
        "connector create --account 123456789012": "Connect an account",
        "connector create --account 123456789012 --name production --group estate --location westeurope --tag team=core": "All of it",
    },
)
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
    print_item(made, session.output, CONNECTOR.columns)
    session.say(
        f"Next: 'isthmus solution create --connector {name} --type inventory' (or onboarding, or access), then deploy what "
        f"'isthmus connector template {name} --output-file template.json' writes."
    )


@verb(
    app,
    "template",
    examples={
        "connector template aws-123456789012 --output-file template.json": "Write it, and see how to deploy it",
        "connector template aws-123456789012 --solution inventory --output yaml": "Read what inventory alone would need",
    },
    complete={"name": connectors_known, "solution": solutions_known},
)
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
    """Make the CloudFormation template that gives Isthmus its roles in the account.

    It is JSON; with '--output yaml' it is YAML, which CloudFormation reads as well.
    """
    connector = session.client.get(find(session, CONNECTOR, name, group))
    asked: dict[str, object] = {"connectorId": connector["id"]}
    if solution:
        asked["solutionTypes"] = [{"solutionType": solution_type(kind)} for kind in solution]
    body = session.client.post(f"{session.root}/providers/Microsoft.HybridConnectivity/generateAwsTemplate", asked).body
    if output_file is None:
        print_tree(body, session.output)
        return
    output_file.write_text(as_yaml(body) if session.output is Output.YAML else json.dumps(body, indent=1) + "\n")
    account = connector["properties"]["awsCloudProfile"]["accountId"]
    stack = f"Isthmus-{connector['properties']['connectorPrimaryIdentifier'][:8]}"
    session.say(f"Wrote {output_file}. With administrator rights in AWS account {account}, deploy it:")
    session.say(
        f"  aws cloudformation deploy --region us-east-1 --stack-name {stack} --template-file {output_file} "
        "--capabilities CAPABILITY_NAMED_IAM"
    )
    session.say(f"Then: isthmus connector test-permissions {name}")
    if not session.output.is_for_people:
        print_item({"file": str(output_file), "stack": stack, "account": account}, session.output)


@verb(
    app,
    "test-permissions",
    examples={"connector test-permissions aws-123456789012": "After deploying the template"},
    complete={"name": connectors_known},
    codes={1: "A role does not work, or the test could not be made."},
)
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


def solution_type(word: str) -> str:
    """A solution type by its short name or its own."""
    return SHORT.get(word.lower(), word)
