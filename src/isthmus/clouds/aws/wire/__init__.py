"""The AWS wire: an asynchronous caller whose requests and parsers are compiled from AWS' service models."""

from isthmus.clouds.aws.wire.caller import Wire
from isthmus.clouds.aws.wire.credentials import Credentials
from isthmus.clouds.aws.wire.errors import AwsError, AwsTransportError, TransportReason
from isthmus.clouds.aws.wire.models import enums, names, operation, service, shape
from isthmus.clouds.aws.wire.retries import RetryClass, classify
from isthmus.clouds.aws.wire.shapes import EnumTree, Shape

__all__ = [
    "AwsError",
    "AwsTransportError",
    "Credentials",
    "EnumTree",
    "RetryClass",
    "Shape",
    "TransportReason",
    "Wire",
    "classify",
    "enums",
    "names",
    "operation",
    "service",
    "shape",
]
