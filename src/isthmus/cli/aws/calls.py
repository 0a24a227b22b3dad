"""Calls that a person's own credentials make at AWS, from the person's computer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

from isthmus.arm.errors import ArmError, invalid, unavailable
from isthmus.cli.aws.cache import Credentials
from isthmus.clouds.aws.wire import AwsError, AwsTransportError, Wire
from isthmus.clouds.aws.wire import Credentials as WireCredentials


def call(made: Credentials, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
    """One call. ArmError 409 `AwsRefused` with AWS' own words, 503 when nobody answers, 400 `InvalidEndpoint` for settings that cannot be
    right. The environment's AWS settings of endpoints hold."""
    held = WireCredentials(access_key=made.access_key, secret_key=made.secret_key, token=made.session_token, expires_at=made.until)

    async def once() -> dict[str, Any]:
        wire = Wire(environ=os.environ, clock=time.time)
        try:
            return await wire.call(operation, params, region=region, credentials=held)
        finally:
            await wire.close()

    try:
        return asyncio.run(once())
    except AwsError as error:
        raise ArmError("AwsRefused", f"AWS refused {operation} in {region}: {error.code}: {error.message}", status=409) from error
    except AwsTransportError as error:
        raise unavailable(f"AWS does not answer {operation} in {region}: {error}") from error
    except ValueError as error:
        raise invalid(f"{operation} in {region} cannot be asked for: {error}", code="InvalidEndpoint") from error
