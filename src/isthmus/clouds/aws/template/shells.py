"""Shells of people: opened by a tag of instances, as their own Unix user, through Session Manager and EC2 Instance Connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.clouds.aws.template.statements import Arns, Statement

_COMMANDS = (
    "ecs:ExecuteCommand",
    "ssm:CreateAssociation*",
    "ssm:SendCommand",
    "ssm:StartAssociationsOnce",
    "ssm:StartAutomationExecution",
    "ssm:StartChangeRequestExecution",
    "ssm:UpdateAssociation",
)
"""Everything by which Systems Manager or ECS runs commands on machines and in containers."""

_OWN_USER = "${aws:PrincipalTag/SSMSessionRunAs}"
_SHELL_DOCUMENT = "SSM-SessionManagerRunShell"
_SSH_DOCUMENT = "AWS-StartSSHSession"


def shell_statements(arns: Arns, tag: str, held: str) -> list[Statement]:
    """What a person's role (`held`, a logical id) may do on instances of a tag (`key:value`) and on no others, whatever the mapping and its
    managed policies allow."""
    key, _, value = tag.partition(":")
    instances = arns.regional("ec2", "instance/*")
    documents = [
        arns.regional("ssm", f"document/{_SHELL_DOCUMENT}"),
        f"arn:{arns.partition}:ssm:*::document/{_SSH_DOCUMENT}",
    ]
    # A session is named after the caller. AWS' guide writes the first; the names that we give end with the source identity.
    own_sessions = [arns.regional("ssm", f"session/{name}-*") for name in ("${aws:userid}", "*.${aws:SourceIdentity}")]
    return [
        Statement(
            role=held,
            sid="OpenShells",
            actions=["ssm:StartSession"],
            resources=[instances],
            conditions={"StringEquals": {f"ssm:resourceTag/{key}": value}},
            reason="Open shells on instances with this tag.",
        ),
        Statement(
            role=held,
            sid="ShellDocuments",
            actions=["ssm:StartSession"],
            resources=documents,
            reason="Through the account's own Session Manager preferences (who the shell runs as, where it is recorded), or carrying SSH "
            "to instances that no network reaches, which still ask for a key. Who carries SSH names the port.",
        ),
        Statement(
            role=held,
            sid="PushKeys",
            actions=["ec2-instance-connect:SendSSHPublicKey"],
            resources=[instances],
            conditions={"StringEquals": {f"aws:ResourceTag/{key}": value, "ec2:osuser": _OWN_USER}},
            reason="Put an SSH key on instances with this tag, for a minute, and for one's own Unix user alone.",
        ),
        Statement(
            role=held,
            sid="OwnShells",
            actions=["ssm:ResumeSession", "ssm:TerminateSession"],
            resources=own_sessions,
            reason="Go on with one's own shells and end them, and nobody else's.",
        ),
        *_no_other_shells(held, tag, instances, documents, own_sessions),
    ]


def _no_other_shells(held: str, tag: str, instances: str, documents: Sequence[str], own: Sequence[str]) -> list[Statement]:
    """What a managed policy like PowerUserAccess would allow besides, and with it shells as root or on machines of others."""
    key, _, value = tag.partition(":")

    def denied(sid: str, actions: Sequence[str], resources: Sequence[str], reason: str, **more: Any) -> Statement:
        return Statement(role=held, sid=sid, effect="Deny", actions=actions, resources=resources, reason=reason, **more)

    push = ["ec2-instance-connect:SendSSHPublicKey"]
    return [
        denied(
            "ShellsElsewhere",
            ["ssm:StartSession"],
            [instances],
            "No shells on instances without this tag.",
            conditions={"StringNotEquals": {f"ssm:resourceTag/{key}": value}},
        ),
        denied(
            "OtherShells",
            ["ssm:StartSession"],
            [instances, *documents],
            "Nor through other documents, nor on what is no instance.",
            is_besides=True,
        ),
        denied("ShellsOfOthers", ["ssm:ResumeSession"], own, "Nor does anybody go on with the shell of somebody else.", is_besides=True),
        denied(
            "KeysElsewhere",
            push,
            [instances],
            "No keys on instances without this tag.",
            conditions={"StringNotEquals": {f"aws:ResourceTag/{key}": value}},
        ),
        denied("KeysOfOthers", push, [instances], "Nor for another Unix user.", conditions={"StringNotEquals": {"ec2:osuser": _OWN_USER}}),
        denied(
            "Commands", _COMMANDS, ["*"], "What Systems Manager runs for somebody runs as root, on any instance, and goes on after them."
        ),
        denied(
            "KeepTag",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            [instances],
            "Who may open shells by a tag does not give it to other instances, unless they make them.",
            conditions={"ForAnyValue:StringEquals": {"aws:TagKeys": [key]}, "Null": {"ec2:CreateAction": "true"}},
        ),
    ]
