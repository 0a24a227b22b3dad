"""The sign-in provider that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from isthmus.identity.federation import IssuerKeys
from isthmus.identity.foreign import fetch, send, trusting
from isthmus.identity.issuer import Issuer
from isthmus.identity.openid import OpenId
from isthmus.identity.relying import Provider
from isthmus.settings import Settings

# Nobody makes us ask this issuer but itself and its own people, so a rotated key may be looked up sooner than those of other issuers.
PATIENCE = 10.0
SECONDS = 10.0


def configured_openid(settings: Settings, *, own: Issuer, public_url: str, clock: Callable[[], float]) -> OpenId | None:
    """Sign-in with the provider of the settings, None without one; ArmError `InvalidSignInProvider` when they do not fit together.

    The provider is first asked when somebody signs in, so a start does not depend on it.
    """
    if not settings.oidc_issuer:
        return None
    provider = Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        name=settings.oidc_name,
        scopes=settings.oidc_scopes,
        auth=settings.oidc_client_auth,
        secret_file=settings.oidc_client_secret_file,
    )
    trust = trusting(settings.oidc_ca_file)
    keys = IssuerKeys(partial(fetch, trust=trust), clock, patience=PATIENCE)
    return OpenId(provider, keys=keys, send=partial(send, trust=trust, seconds=SECONDS), own=own, public_url=public_url, clock=clock)
