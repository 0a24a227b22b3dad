"""The transmitter of security events that the settings name."""

from __future__ import annotations

import time

from isthmus.access.security_events.receiving import Receiver
from isthmus.arm.errors import invalid
from isthmus.engine import Engine
from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import fetch
from isthmus.settings import Settings


def open_receiver(settings: Settings, engine: Engine, public_url: str) -> Receiver | None:
    """Who takes its events in; None where none is named. ArmError 400 `InvalidTransmitter` when only half of it is."""
    issuer, keys = settings.ssf_issuer, settings.ssf_jwks_url
    if bool(issuer) != bool(keys):
        raise invalid(
            "A transmitter of security events needs both ISTHMUS_SSF_ISSUER and ISTHMUS_SSF_JWKS_URL.",
            target="ssf_issuer",
            code="InvalidTransmitter",
        )
    if not issuer:
        return None
    found = IssuerKeys(fetch, time.time, patience=10.0, addresses={issuer: keys})
    return Receiver(engine=engine, issuer=issuer, audience=settings.ssf_audience or public_url, keys=found)
