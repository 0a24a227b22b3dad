"""Public documents that lead Azure clients to this server: cloud metadata and OpenID configuration. Pure functions of URL and tenant.

Shapes are those which azure-cli 2.91, msal 1.39 and azure-identity 1.27 read. `public_url` has no trailing slash.
"""

from __future__ import annotations

from typing import Any

# Names under which clients ask for "whatever tenant this is"; the issuer they get to see is the one real tenant.
ALIASES = frozenset({"common", "organizations"})
_OBJECT_SINCE = "2022-09-01"


def issuer_url(public_url: str, tenant: str) -> str:
    """`iss` of our API tokens."""
    return f"{public_url}/{tenant}/v2.0"


def token_url(public_url: str, tenant: str) -> str:
    """The token endpoint."""
    return f"{public_url}/{tenant}/oauth2/v2.0/token"


def jwks_url(public_url: str, tenant: str) -> str:
    """Where the keys of our API tokens are published."""
    return f"{public_url}/{tenant}/discovery/v2.0/keys"


def openid_configuration(public_url: str, tenant: str, *, asked: str = "") -> dict[str, Any]:
    """`/{asked}/v2.0/.well-known/openid-configuration`, also without `v2.0`. `asked` is the tenant segment of the request.

    The endpoints keep the asked segment (clients compare hosts and paths), the issuer never does. LookupError for a foreign tenant.
    """
    segment = asked or tenant
    if segment.lower() not in ALIASES | {tenant.lower()}:
        raise LookupError(segment)
    return {
        "issuer": issuer_url(public_url, tenant),
        "authorization_endpoint": f"{public_url}/{segment}/oauth2/v2.0/authorize",
        "token_endpoint": token_url(public_url, segment),
        "device_authorization_endpoint": f"{public_url}/{segment}/oauth2/v2.0/devicecode",
        "jwks_uri": jwks_url(public_url, segment),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
        "grant_types_supported": [
            "client_credentials",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "revocation_endpoint": f"{public_url}/{segment}/oauth2/v2.0/revoke",
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "claims_supported": ["aud", "appid", "azp", "exp", "iat", "idtyp", "iss", "jti", "nbf", "oid", "sid", "sub", "tid", "ver"],
        "tenant_region_scope": None,
        "cloud_instance_name": public_url.partition("://")[2],
    }


def cloud_metadata(public_url: str, api_version: str) -> dict[str, Any] | list[dict[str, Any]]:
    """`/metadata/endpoints`: one object from version 2022-09-01 on, a list of one before."""
    cloud = {
        "name": "Isthmus",
        "portal": public_url,
        "authentication": {
            "loginEndpoint": public_url,
            "audiences": [f"{public_url}/", public_url],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"{public_url}/",
        "graphAudience": f"{public_url}/",
        "graph": f"{public_url}/",
        "microsoftGraphResourceId": f"{public_url}/",
        "media": f"{public_url}/",
        "batch": f"{public_url}/",
        "gallery": f"{public_url}/",
        "sqlManagement": f"{public_url}/",
        "vmImageAliasDoc": f"{public_url}/",
        "activeDirectoryDataLake": f"{public_url}/",
        # No storage, vaults or registries exist here; `.invalid` (RFC 2606) makes sure that nobody is asked instead.
        "suffixes": {
            "storage": "storage.invalid",
            "keyVaultDns": "vault.invalid",
            "acrLoginServer": "registry.invalid",
            "sqlServerHostname": "sql.invalid",
        },
    }
    return cloud if api_version >= _OBJECT_SINCE else [cloud]


def bearer_challenge(public_url: str, tenant: str, description: str = "") -> str:
    """Value of WWW-Authenticate for a 401 of the API (RFC 6750 3, with Azure's `authorization_uri`)."""
    start = f'Bearer authorization_uri="{public_url}/{tenant}"'
    safe = "".join(character for character in description if character.isascii() and character.isprintable() and character not in '"\\')
    return f'{start}, error="invalid_token", error_description="{safe}"' if safe else start
