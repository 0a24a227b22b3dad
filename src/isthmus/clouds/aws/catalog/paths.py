"""Where a JMESPath leads in AWS's models: the shape that an expression answers for a given shape, without any data.

Rows' shapes follow from it, and from those which keys are members and which are a map's, what is an enum and what is free-form JSON.
Only the part of JMESPath that the catalog uses is understood; anything else is a LookupError, as is a member that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jmespath

from isthmus.clouds.aws.catalog.types import PARENT, AwsType
from isthmus.clouds.aws.wire import models
from isthmus.clouds.aws.wire.shapes import Shape

Node = Mapping[str, Any]
TEXT = Shape("text", None, None)
SCALARS = {"length": "integer", "to_number": "float", "to_string": "text", "join": "text", "starts_with": "boolean"}


def follow(expression: str, shape: Shape) -> Shape:
    """The shape that the expression answers; raises LookupError naming the member that does not exist."""
    return _visit(jmespath.compile(expression).parsed, shape)


@cache
def row_shape(entry: AwsType) -> Shape:
    """The shape of a type's rows: its list's items, what details lay over them, and what its parent shows.

    Members that an `adapt` function adds are not in it. Raises LookupError where a path leads nowhere.
    """
    members: dict[str, Shape] = {}
    if entry.parent:
        members[PARENT] = shown_shape(entry)
    root = models.shape(entry.list) if entry.list else members[PARENT]
    members |= _object(follow(entry.items, root)).members
    for detail in entry.details:
        learnt = follow(detail.items, models.shape(detail.operation))
        if detail.into:
            members[detail.into] = learnt
        else:
            members |= _object(learnt).members
    return structure(members)


def shown_shape(entry: AwsType) -> Shape:
    """The shape of what a type's parent gives to its rows: parameters, and what it shows besides."""
    if entry.parent is None:
        return structure({})
    above = row_shape(entry.parent.type)
    parts = (entry.parent.params, entry.parent.shows)
    return structure({name: member for part in parts if part for name, member in follow(part, above).members.items()})


def structure(members: Mapping[str, Shape]) -> Shape:
    """A structure of these members."""
    return Shape("structure", dict(members), None)


def _object(shape: Shape) -> Shape:
    found = shape.item if shape.kind == "list" and shape.item else shape
    if found.kind == "map":  # an attribute map: its keys are the service's own, known only to its documentation
        return structure({})
    if found.kind != "structure":
        raise LookupError(f"rows must be objects, these are {found.kind}: make objects of them, as in `Names[].{{Name: @}}`")
    return found


def _list(item: Shape) -> Shape:
    return Shape("list", None, item)


def _item(shape: Shape, what: str) -> Shape:
    if shape.kind != "list" or shape.item is None:
        raise LookupError(f"{what} needs a list, this is {shape.kind}")
    return shape.item


def _visit(node: Node, shape: Shape) -> Shape:
    visitor = _VISITORS.get(node["type"])
    if visitor is None:
        raise LookupError(f"{node['type']} is not understood here: say it with the forms that other entries use, or in an `adapt` function")
    return visitor(node, shape)


def _field(node: Node, shape: Shape) -> Shape:
    if shape.kind in ("document", "policy", "map"):
        return shape.item or shape
    members = shape.members
    if node["value"] not in members:
        raise LookupError(f"no member {node['value']!r} among {', '.join(sorted(members)) or 'nothing: this is ' + shape.kind}")
    return members[node["value"]]


def _chain(node: Node, shape: Shape) -> Shape:
    for child in node["children"]:
        shape = _visit(child, shape)
    return shape


def _flatten(node: Node, shape: Shape) -> Shape:
    found = _visit(node["children"][0], shape)
    inner = _item(found, "[]")
    return inner if inner.kind == "list" else found


def _projection(node: Node, shape: Shape) -> Shape:
    left, right = node["children"][0], node["children"][1]
    return _list(_visit(right, _item(_visit(left, shape), "[]")))


def _filter(node: Node, shape: Shape) -> Shape:
    left, right, condition = node["children"]
    inner = _item(_visit(left, shape), "[?]")
    _visit(condition, inner)
    return _list(_visit(right, inner))


def _either(node: Node, shape: Shape) -> Shape:
    found = [_visit(child, shape) for child in node["children"]]
    return found[0] if node["type"] == "or_expression" else found[-1]


def _all(node: Node, shape: Shape) -> Shape:
    for child in node["children"]:
        _visit(child, shape)
    return Shape("boolean", None, None)


def _object_of(node: Node, shape: Shape) -> Shape:
    return structure({pair["value"]: _visit(pair["children"][0], shape) for pair in node["children"]})


def _list_of(node: Node, shape: Shape) -> Shape:
    return _list(_visit(node["children"][0], shape))


def _function(node: Node, shape: Shape) -> Shape:
    arguments = [_visit(child, shape) for child in node["children"]]
    if node["value"] == "merge":
        return structure({name: member for argument in arguments for name, member in argument.members.items()})
    if node["value"] not in SCALARS:
        raise LookupError(f"the function {node['value']} is not understood here")
    return Shape(SCALARS[node["value"]], None, None)  # type: ignore[arg-type]


def _literal(node: Node, _shape: Shape) -> Shape:
    return _list(TEXT) if isinstance(node["value"], list) else TEXT


_VISITORS: Mapping[str, Callable[[Node, Shape], Shape]] = {
    "field": _field,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": lambda _node, shape: _item(shape, "[0]"),
    "identity": lambda _node, shape: shape,
    "current": lambda _node, shape: shape,
    "flatten": _flatten,
    "projection": _projection,
    "filter_projection": _filter,
    "or_expression": _either,
    "and_expression": _either,
    "comparator": _all,
    "multi_select_dict": _object_of,
    "multi_select_list": _list_of,
    "function_expression": _function,
    "literal": _literal,
}
