"""SendCommand: everything AWS checks before it accepts a command."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from isthmus_lab.ssm import content as contents
from isthmus_lab.ssm.access import Access
from isthmus_lab.ssm.commands import Command, Invocation, Plugin
from isthmus_lab.ssm.documents import Document, DocumentStore
from isthmus_lab.ssm.errors import SsmError, invalid
from isthmus_lab.ssm.nodes import Node, Nodes
from isthmus_lab.ssm.paging import number, text, texts
from isthmus_lab.world import World

MOST_IDS, MOST_TARGETS, LONGEST_COMMENT = 50, 5, 100
_ID = re.compile(r"(i-(\w{8}|\w{17}))|(mi-\w{17})")
_CONCURRENCY = re.compile(r"[1-9][0-9]{0,6}|[1-9][0-9]?%|100%")
_ERRORS = re.compile(r"[0-9]{1,7}|[0-9]{1,2}%|100%")


class Sending:
    """Turns a request into a command, or refuses it as a whole."""

    def __init__(self, world: World, access: Access, documents: DocumentStore, nodes: Nodes) -> None:
        self._world, self._access, self._documents, self._nodes = world, access, documents, nodes

    def accept(self, request: Mapping[str, Any]) -> Command:
        """Check the request; the command, not yet started. Raises SsmError."""
        comment = text(request, "Comment", "")
        if len(comment) > LONGEST_COMMENT:
            raise invalid("Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to 100")
        concurrency, errors = text(request, "MaxConcurrency", "50"), text(request, "MaxErrors", "0")
        if not _CONCURRENCY.fullmatch(concurrency) or not _ERRORS.fullmatch(errors):
            raise invalid("MaxConcurrency and MaxErrors are numbers or percentages.")
        timeout = number(request, "TimeoutSeconds", least=30, most=2_592_000, default=3600)
        ids, targets = texts(request, "InstanceIds"), request.get("Targets") or []
        document = self._document(request)
        if bool(ids) == bool(targets):
            raise SsmError("InvalidParameters", "Give either InstanceIds or Targets.")
        nodes = self._by_ids(ids) if ids else self._by_targets(targets)
        self._check_platforms(document, nodes)
        given = request.get("Parameters") or {}
        steps = contents.steps(document.content, contents.values_of(document.content, given))
        account, region = self._access.place()
        invocations = {
            key: Invocation(instance=node.instance, plugins=[Plugin(name=step.name) for step in steps]) for key, node in nodes.items()
        }
        return Command(
            id=str(uuid.uuid4()),
            account=account,
            region=region,
            document=document,
            steps=steps,
            comment=comment,
            parameters=given,
            instance_ids=ids,
            targets=targets,
            requested=self._world.clock(),
            timeout=timeout,
            concurrency_text=concurrency,
            errors_text=errors,
            invocations=invocations,
        )

    def _document(self, request: Mapping[str, Any]) -> Document:
        name = text(request, "DocumentName")
        self._access.document("ssm:SendCommand", name)
        version = text(request, "DocumentVersion", "$DEFAULT")
        document = self._documents.find(*self._access.place(), self._access.own_name(name), version)
        if document.type != "Command" or not document.content.get("mainSteps"):
            raise SsmError("InvalidDocument", f"Document {document.name} is not a Command document that can be run.")
        digest = text(request, "DocumentHash", "")
        if digest:
            if text(request, "DocumentHashType", "Sha256") != "Sha256":
                raise invalid("Value at 'documentHashType' failed to satisfy constraint: only Sha256 is supported")
            if digest.lower() != document.hash:
                raise SsmError("InvalidDocument", f"The hash of document {document.name} does not match the given DocumentHash.")
        return document

    def _by_ids(self, ids: list[str]) -> dict[str, Node]:
        if len(ids) > MOST_IDS:
            raise invalid("Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to 50")
        if len(set(ids)) != len(ids):
            raise SsmError("DuplicateInstanceId", "You cannot specify an instance ID in more than one association.")
        for value in ids:
            if not _ID.fullmatch(value):
                raise invalid(f"Value '{value}' at 'instanceIds' failed to satisfy constraint: Member must be an instance id")
        account, region = self._access.place()
        for value in ids:
            instance = self._world.instance(account, region, value)
            if instance is not None:
                self._access.instance("ssm:SendCommand", instance)
        nodes = self._nodes.commandable(account, region)
        wrong = [value for value in ids if value not in nodes]
        if wrong:
            raise SsmError("InvalidInstanceId", f"Instances [[{', '.join(wrong)}]] not in a valid state for account {account}")
        return {value: nodes[value] for value in ids}

    def _by_targets(self, targets: Any) -> dict[str, Node]:
        if not isinstance(targets, list) or len(targets) > MOST_TARGETS:
            raise invalid("Value at 'targets' failed to satisfy constraint: Member must have length less than or equal to 5")
        nodes = self._nodes.registered(*self._access.place())
        for target in targets:
            key, values = str(target.get("Key", "")), [str(value) for value in target.get("Values") or []]
            if not key.startswith("tag:") and key not in ("InstanceIds", "tag-key"):
                raise invalid(f"Value '{key}' at 'targets.key' failed to satisfy constraint: tag:<key>, tag-key or InstanceIds")
            nodes = {id_: node for id_, node in nodes.items() if _targeted(node, key, values)}
        for node in nodes.values():
            self._access.instance("ssm:SendCommand", node.instance)
        return nodes

    @staticmethod
    def _check_platforms(document: Document, nodes: Mapping[str, Node]) -> None:
        supported = contents.platforms(document.content)
        wrong = [id_ for id_, node in nodes.items() if node.platform.type not in supported]
        if wrong:
            raise SsmError("UnsupportedPlatformType", f"Document {document.name} does not support the platform of {', '.join(wrong)}.")


def _targeted(node: Node, key: str, values: list[str]) -> bool:
    if key == "InstanceIds":
        return node.instance.instance_id in values
    if key == "tag-key":
        return bool(set(values) & set(node.instance.tags))
    return node.instance.tags.get(key[4:]) in values
