"""How people come into an account: by tokens of Isthmus (the broker), or by a directory that the account itself trusts.

Pure, but for reading the stored setting. Whatever a role mapping demands is honoured by the mode or refused: AWS alone looks at a sign-in
in direct modes, so what it is not shown cannot be demanded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from isthmus.access.mappings import BROKER, OFF, STANDING
from isthmus.arm.errors import ArmError, invalid
from isthmus.clouds.aws.metadata import read_metadata
from isthmus.clouds.aws.template.directories import CLAIMS, OIDC, SAML, Directory
from isthmus.engine.rows import from_row
from isthmus.store.tables import resources

CONFIGURATIONS: Final = "Microsoft.HybridConnectivity/solutionConfigurations"
ACCESS: Final = "Isthmus.Access"
MODES: Final = (BROKER, OIDC, SAML, CLAIMS)
FEDERATION, ISSUER, CLIENT, METADATA = "federation", "federationIssuer", "federationClientId", "samlMetadata"
AUDIENCE: Final = "claimsAudience"
"""Names of the settings."""
LONGEST_LEASE: Final = 300


_CHUNK: Final = 400
# Written once: every session that is given asks it.
_CONFIGURED = select(resources).where(resources.c.type == CONFIGURATIONS.lower(), resources.c.parent == bindparam("federation_parent"))

_UNIQUE = select(resources).where(resources.c.unique_key == bindparam("solution"))


def directory_of(settings: Mapping[str, str]) -> Directory | None:
    """The directory that complete settings name; None for the broker.

    Raises ArmError 400 `InvalidSolutionSetting` for settings that do not go together, with the one to change as target.
    """
    mode = settings.get(FEDERATION, BROKER)
    given = {name: settings.get(name, "") for name in (ISSUER, CLIENT, METADATA)}
    if mode == BROKER:
        return None
    if mode == SAML:
        if not given[METADATA]:
            raise _wrong(METADATA, "federation saml needs samlMetadata: the federation metadata XML of the directory's application.")
        entity_id = entity_of(given[METADATA])
        if given[ISSUER] and given[ISSUER] != entity_id:
            raise _wrong(
                ISSUER, f"federationIssuer is '{given[ISSUER][:200]}', but the metadata is of '{entity_id}'. They must be the same."
            )
        return Directory(mode="saml", entity_id=entity_id, metadata=given[METADATA])
    if not given[ISSUER]:
        raise _wrong(ISSUER, f"federation {mode} needs federationIssuer: the issuer that the directory's tokens name, to the last slash.")
    if mode == CLAIMS and not given[CLIENT]:
        raise _wrong(CLIENT, "federation claims needs federationClientId: the application by which people come, one for all roles.")
    if mode == CLAIMS and not settings.get(AUDIENCE, ""):
        raise _wrong(AUDIENCE, "federation claims needs claimsAudience: what tokens with which the directory calls Isthmus are made for.")
    try:
        if mode == OIDC:
            return Directory(mode="oidc", issuer_url=given[ISSUER], client_id=given[CLIENT])
        return Directory(mode="claims", issuer_url=given[ISSUER], client_id=given[CLIENT], audience=settings[AUDIENCE])
    except ValueError as error:
        raise _wrong(ISSUER, f"federationIssuer: {error}") from error


def unfit(directory: Directory | None, mapping: Mapping[str, Any]) -> Iterator[ArmError]:
    """Everything that a mapping (its properties) demands and the mode cannot keep, each with the mode that can.

    ArmError 400 `NotInThisFederation`, or `ClientIdNeeded` where the role has no application of its own."""
    if directory is not None:
        yield from unfit_in(directory.mode, mapping, tells_methods=directory.tells_methods)


def unfit_in(mode: str, mapping: Mapping[str, Any], *, tells_methods: bool) -> Iterator[ArmError]:
    """The same for a mode whose directory nobody has named yet; whether it tells of second factors has to be said."""
    activation = (mapping.get("activation") or {}).get("mode", STANDING)
    if mapping.get("requiresMfa", True) and not tells_methods:
        why = "SAML has no condition key for it" if mode == SAML else "tokens of Entra's version 2 issuer do not tell it"
        where = "Say requiresMfa false and demand it by Conditional Access of the application, or use the broker"
        version = "" if mode == SAML else ", or Entra's version 1 issuer (https://sts.windows.net/TENANT/)"
        yield _unfit("requiresMfa", f"AWS is not shown whether there was a second factor: {why}. {where}{version}.")
    for name, is_asked, why in (
        ("claims", bool(mapping.get("claims")), "AWS sees no other claims of the directory; name groups"),
        (
            "requiredContexts",
            bool(mapping.get("requiredContexts")),
            "AWS sees no authentication contexts; demand them by Conditional Access",
        ),
        ("activation", activation != STANDING, "nobody can be asked while AWS decides alone"),
        ("leaseSeconds", mapping.get("leaseSeconds", LONGEST_LEASE) != LONGEST_LEASE, "only Isthmus ends sessions before STS does"),
        ("leastPrivilege", mapping.get("leastPrivilege", OFF) != OFF, "only Isthmus passes session policies"),
        ("machineTag", bool(mapping.get("machineTag")), "shells outlive credentials, and Isthmus would not learn where they are open"),
    ):
        if is_asked:
            yield _unfit(name, f"In federation {mode} {why}. Federation broker can keep it.")
    if not mapping.get("groups"):
        yield _unfit("groups", f"In federation {mode} a role is held by groups alone.")
    if mode == OIDC and not mapping.get("clientId"):
        text = "In federation oidc each role has an application of its own, for AWS sees no groups: name its client id (clientId)."
        yield invalid(text, target="properties.clientId", code="ClientIdNeeded")


def shared_client(
    directory: Directory | None, name: str, mapping: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> ArmError | None:
    """ArmError 400 `ClientIdTaken` where another mapping of the connector has the same application: its people would hold both roles."""
    if directory is None or directory.mode != OIDC:
        return None
    wanted = str(mapping.get("clientId", ""))
    for other, properties in others.items():
        if other.lower() != name.lower() and wanted and properties.get("clientId") == wanted:
            text = f"Role mapping '{other}' has the client id {wanted} already: whoever may sign in there could take both roles."
            return invalid(text, target="properties.clientId", code="ClientIdTaken")
    return None


def directory_at(connection: Connection, connector: str) -> Directory | None:
    """The directory that a connector's account trusts; None for the broker, and without the solution."""
    rows = connection.execute(_CONFIGURED, {"federation_parent": connector.lower()})
    return next((directory for row in rows if (directory := _stored(from_row(row).properties))), None)


def directories_at(connection: Connection, connectors: Collection[str]) -> dict[str, Directory]:
    """The directories that the accounts of connectors (keys) trust, by connector; `directory_at` for many."""
    wanted, found = sorted(connectors), dict[str, Directory]()
    for start in range(0, len(wanted), _CHUNK):
        part = (resources.c.type == CONFIGURATIONS.lower(), resources.c.parent.in_(wanted[start : start + _CHUNK]))
        for row in connection.execute(select(resources).where(*part)):
            if directory := _stored(from_row(row).properties):
                found[row.parent] = directory
    return found


def solution_key(guid: str, solution: str) -> str:
    """What of a solution is unique in the tenant: a connector, by its identifier, has one of each type."""
    return f"solution:{guid.lower()}:{solution}"


def claims_connector(connection: Connection, guid: str) -> tuple[str, Directory] | None:
    """The connector (key) of an identifier with its directory, where that is asked for claims: one look into an index."""
    row = connection.execute(_UNIQUE, {"solution": solution_key(guid, ACCESS)}).first()
    found = None if row is None else from_row(row)
    if found is None or found.id.parent is None or (found.properties.get("solutionSettings") or {}).get(FEDERATION) != CLAIMS:
        return None
    directory = _stored(found.properties)
    return None if directory is None else (found.id.parent.key, directory)


def entity_of(metadata: str) -> str:
    """The entityID of checked metadata."""
    return read_metadata(metadata).entity_id


def _stored(properties: Mapping[str, Any]) -> Directory | None:
    if properties.get("solutionType") != ACCESS:
        return None
    return directory_of(properties.get("solutionSettings") or {})


def _unfit(name: str, text: str) -> ArmError:
    return invalid(text, target=f"properties.{name}", code="NotInThisFederation")


def _wrong(name: str, text: str) -> ArmError:
    return invalid(text, target=f"properties.solutionSettings.{name}", code="InvalidSolutionSetting")
