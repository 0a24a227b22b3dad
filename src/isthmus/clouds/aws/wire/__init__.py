"""The AWS wire: an asynchronous caller whose requests and parsers are compiled from AWS' service models."""

from isthmus.clouds.aws.wire.caller import Wire
from isthmus.clouds.aws.wire.credentials import Credentials
from isthmus.clouds.aws.wire.errors import AwsError, AwsTransportError, TransportReason
from isthmus.clouds.aws.wire.retries import RetryClass, classify

__all__ = ["AwsError", "AwsTransportError", "Credentials", "RetryClass", "TransportReason", "Wire", "classify"]
