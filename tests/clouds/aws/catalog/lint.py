"""Judges a catalog entry against botocore's and CloudFormation's own models, in sentences that say what to change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import cfnlint
from botocore.model import OperationModel

from isthmus.clouds.aws.catalog import PARENT, TAGGING, AwsType, action_of
from isthmus.clouds.aws.catalog.paths import TEXT, follow, row_shape, shown_shape, structure
from isthmus.clouds.aws.shape import camel
from isthmus.clouds.aws.wire import models
from isthmus.clouds.aws.wire.shapes import Shape

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"
TOKENS = {"NextToken", "nextToken", "Marker", "NextMarker", "position", "LastEvaluatedTableName", "ContinuationToken"}
SECRETIVE = re.compile(
    r"password$|secretstring|secretbinary|userdata$|privatekey|clientsecret$|base32stringseed|^environment$|^variables$", re.I
)
BEYOND_SCHEMA = {
    # CloudFormation's registry has these; the copy that cfn-lint carries is of the older resource specification.
    "cloudFormationStacks": "stackName description stackStatus stackStatusReason creationTime capabilities disableRollback roleARN"
    " enableTerminationProtection parentId rootId",
}
_PLACE = re.compile(r"\{([^}]+)\}")
_SESSION = botocore.session.get_session()


def problems(entry: AwsType) -> Iterator[str]:
    """Everything that is wrong with an entry; nothing for a good one."""
    for check in (_names, _operations, _parameters, _rows, _paths, _properties, _paging, _secrets):
        try:
            yield from (f"{entry.arm}: {problem}" for problem in check(entry))
        except LookupError as error:
            yield f"{entry.arm}: {check.__name__.strip('_')}: {error}"


@cache
def operation_model(operation: str) -> OperationModel | None:
    """botocore's model of an operation; None when there is none."""
    service, _, name = operation.partition(":")
    if service not in _SESSION.get_available_services():
        return None
    model = _SESSION.get_service_model(service)
    return model.operation_model(name) if name in model.operation_names else None


@cache
def schema(cfn: str) -> dict[str, Any] | None:
    """CloudFormation's schema of a resource type; None when there is none."""
    index = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())
    return json.loads((SCHEMAS / "resources" / f"{index[cfn]}.json").read_text()) if cfn in index else None


def _names(entry: AwsType) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][A-Za-z0-9]+", entry.arm):
        yield "`arm` is a plural in camelCase, e.g. ec2Volumes"
    if not re.fullmatch(r"[a-z0-9]+", entry.service):
        yield "`service` is a key of cloudProviderServiceTypes: lower case, no blanks"
    if (entry.tags == TAGGING) != bool(entry.tagging):
        yield "`tagging` names the type for the tagging API when, and only when, `tags` is TAGGING"
    if entry.tagging and not re.fullmatch(r"[a-z0-9-]+(:[a-zA-Z0-9-]+)?", entry.tagging):
        yield f"`tagging` is service or service:type, not {entry.tagging!r}"
    if not entry.list and entry.parent is None:
        yield "without a `list` the rows must come from a `parent`"


def _operations(entry: AwsType) -> Iterator[str]:
    for operation in entry.operations:
        if operation_model(operation) is None:
            yield f"botocore knows no operation {operation!r} (use botocore's service name, e.g. elbv2)"
        elif not re.match(r"(List|Describe|Get|BatchGet)", operation.partition(":")[2]):
            yield f"{operation} does not read"
        elif not re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action_of(operation)):
            yield f"{operation} has no IAM action"


def _parameters(entry: AwsType) -> Iterator[str]:
    calls = [(entry.list, entry.params, follow(entry.parent.params, row_shape(entry.parent.type)) if _has_params(entry) else None)]
    row = row_shape(entry)
    for detail in entry.details:
        source = Shape("list", None, row) if detail.batch > 1 else row
        calls.append((detail.operation, {}, follow(detail.params, source) if detail.params else None))
    for operation, fixed, computed in calls:
        model = operation_model(operation) if operation else None
        if model is None:
            continue
        takes = model.input_shape.members if model.input_shape else {}
        given = {*fixed, *(computed.members if computed else ())}
        for name in sorted(given - set(takes)):
            yield f"{operation} takes no parameter {name!r}; it takes {', '.join(takes)}"
        for name in sorted(set(model.input_shape.required_members if model.input_shape else ()) - given):
            yield f"{operation} needs the parameter {name!r}"
        for name, value in fixed.items():
            yield from _enum_members(operation, name, value, takes.get(name))


def _has_params(entry: AwsType) -> bool:
    return entry.parent is not None and bool(entry.parent.params)


def _enum_members(operation: str, name: str, value: Any, shape: Any) -> Iterator[str]:
    values, shape = (value, shape.member) if isinstance(value, list) and shape is not None else ([value], shape)
    known = getattr(shape, "enum", None)
    for each in values if known else ():
        if each not in known:
            yield f"{operation} knows no {name}={each!r}; it knows {', '.join(known)}"


def _rows(entry: AwsType) -> Iterator[str]:
    row_shape(entry)  # raises with the member that does not exist
    yield from ()
    if entry.parent is None:
        return
    above = entry.parent.type
    bare = structure(_listed(above).members)
    for part in (entry.parent.params, entry.parent.shows, entry.parent.region):
        if part:
            follow(part, bare)  # a parent that only its children need is listed without details
    shown_shape(entry)


def _listed(entry: AwsType) -> Shape:
    members = {PARENT: shown_shape(entry)} if entry.parent else {}
    found = follow(entry.items, models.shape(entry.list) if entry.list else members[PARENT])
    found = found.item if found.kind == "list" and found.item else found
    return structure(members | found.members)


def _is_open(entry: AwsType) -> bool:
    """Whether rows have members that no model knows: attribute maps, or what a function adds."""
    return entry.adapt is not None or any(follow(each.items, models.shape(each.operation)).kind == "map" for each in entry.details)


def _paths(entry: AwsType) -> Iterator[str]:
    row, fragile = row_shape(entry), _is_open(entry)
    texts = [("id", entry.id), ("name", entry.name), ("region", entry.region), ("tags", "" if entry.tags == TAGGING else entry.tags)]
    texts += [("arn", "" if entry.arn.startswith("arn:") else entry.arn)]
    texts += [(f"renamed[{name}]", source) for name, source in entry.renamed.items()]
    for place in _PLACE.findall(entry.arn) if entry.arn.startswith("arn:") else ():
        texts += [("arn", part.strip()) for part in place.split("||") if part.strip() not in ("partition", "region", "account")]
    for what, text in texts:
        if text:
            try:
                follow(text, row)
            except LookupError as error:
                if not fragile:
                    yield f"`{what}`: {error}"
    for detail in entry.details:
        answer = follow(detail.items, models.shape(detail.operation))
        if detail.key:
            follow(detail.key[0], row)
            follow(detail.key[1], answer.item or answer)
        elif detail.batch != 1:
            yield f"{detail.operation}: a batch or a sweep needs `key` to pair its items with rows"
    for what, dotted in [*(("documents", each) for each in entry.documents), *(("secret", each) for each in entry.secret)]:
        if not fragile:
            follow(dotted, row) if what and dotted else None


def _properties(entry: AwsType) -> Iterator[str]:
    members, fragile = set(row_shape(entry).members), _is_open(entry)
    for name in entry.keep.split():
        if name not in members and not fragile and name.lower() != "tags":
            yield f"`keep`: AWS answers no member {name!r}; it answers {', '.join(sorted(members))}"
    final = {camel(name) for name in entry.keep.split()} | set(entry.renamed)
    for dotted in entry.volatile:
        first = dotted.split(".")[0].removesuffix("[]")
        if first not in (final or {camel(name) for name in members}):
            yield f"`volatile`: there is no property {first!r}"
    if entry.cfn is None:
        return
    found = schema(entry.cfn)
    if found is None:
        yield f"CloudFormation has no type {entry.cfn!r}: leave `cfn` out for SDK shape"
        return
    if not final:
        yield "in CloudFormation shape `keep` or `renamed` must say which members become properties"
    known = {camel(name) for name in found["properties"]} | set(BEYOND_SCHEMA.get(entry.arm, "").split())
    for name in sorted(final - known):
        yield f"{entry.cfn} has no property {name!r}; it has {', '.join(sorted(known))}"


def _paging(entry: AwsType) -> Iterator[str]:
    for operation in [entry.list, *(detail.operation for detail in entry.details if detail.batch == 0)]:
        model = operation_model(operation) if operation else None
        if model is None or model.output_shape is None:
            continue
        tokens = TOKENS & set(model.output_shape.members)
        if tokens and models.operation(operation).paging is None:
            yield f"{operation} answers {', '.join(tokens)} but the wire has no plan to follow it: see wire/compile/paging.py"


def _secrets(entry: AwsType) -> Iterator[str]:
    row = row_shape(entry)
    kept = {name: row.members.get(name, TEXT) for name in entry.keep.split()} if entry.keep or entry.renamed else row.members
    dropped = {dotted.replace("[]", "") for dotted in entry.secret}
    for dotted, kind in _leaves(structure({name: shape for name, shape in kept.items() if name != PARENT}), "", 0):
        is_cleared = any(f"{dotted}.".startswith(f"{each}.") or each.startswith(f"{dotted}.") for each in dropped)
        if SECRETIVE.search(dotted.rpartition(".")[2]) and kind != "boolean" and not is_cleared:
            yield f"{dotted} may hold a secret: name it in `secret`, or leave it out of `keep`"


def _leaves(shape: Shape, above: str, depth: int) -> Iterator[tuple[str, str]]:
    inner = shape.item if shape.kind in ("list", "map") else shape
    if inner is None or depth > 6:
        return
    for name, member in inner.members.items():
        dotted = f"{above}.{name}" if above else name
        yield dotted, member.kind
        yield from _leaves(member, dotted, depth + 1)
