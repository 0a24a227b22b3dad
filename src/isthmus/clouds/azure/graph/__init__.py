"""Microsoft Graph: a dozen typed calls over HTTP, without a stored secret. The official SDK is 133 MB for the same."""

from isthmus.clouds.azure.graph.answers import Changes, Member, Subscription, User, guid
from isthmus.clouds.azure.graph.caller import Caller
from isthmus.clouds.azure.graph.calls import PER_CURSOR, Graph
from isthmus.clouds.azure.graph.faults import GraphFault, GraphGone, GraphRefused, GraphUnavailable
from isthmus.clouds.azure.graph.place import Place
from isthmus.clouds.azure.graph.tokens import SUBJECT, Tokens
from isthmus.clouds.azure.graph.wire import Wire

__all__ = [
    "PER_CURSOR",
    "SUBJECT",
    "Caller",
    "Changes",
    "Graph",
    "GraphFault",
    "GraphGone",
    "GraphRefused",
    "GraphUnavailable",
    "Member",
    "Place",
    "Subscription",
    "Tokens",
    "User",
    "Wire",
    "guid",
]
