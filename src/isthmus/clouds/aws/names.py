"""Names that Isthmus uses inside an AWS account.

Nothing can read stack outputs before trust exists, so every name follows from the connector alone: the template creates them,
sessions and Run Command use them. `guid` is the connector's `connectorPrimaryIdentifier`.
"""

from __future__ import annotations

import re

INVENTORY = "Microsoft.AssetManagement"
ONBOARDING = "Microsoft.HybridCompute.Onboard"
ACCESS = "Isthmus.Access"


def suffix(guid: str) -> str:
    """The part of the connector's GUID that names carry: its first 8 characters, lower case."""
    return guid[:8].lower()


def inventory_role(guid: str) -> str:
    """Name of the role that inventory assumes."""
    return f"IsthmusInventory-{suffix(guid)}"


def onboarding_role(guid: str) -> str:
    """Name of the role that onboarding assumes."""
    return f"IsthmusOnboarding-{suffix(guid)}"


def access_role(guid: str) -> str:
    """Name of the role with which access of people is taken away."""
    return f"IsthmusAccess-{suffix(guid)}"


def person_role(guid: str, mapping: str) -> str:
    """Name of the role that people hold by a role mapping."""
    return f"IsthmusPerson-{mapping}-{suffix(guid)}"


def is_person_role(name: str, guid: str) -> bool:
    """Whether a role has a name that `person_role` makes, be there a mapping for it or not."""
    return name.startswith("IsthmusPerson-") and name.endswith(f"-{suffix(guid)}")


def witness_role(guid: str) -> str:
    """Name of the role on which the revocation policy is watched where people hold no sessions of ours."""
    return f"IsthmusWitness-{suffix(guid)}"


def saml_provider(guid: str) -> str:
    """Name of the SAML provider that vouches for people in the account itself."""
    return f"IsthmusDirectory-{suffix(guid)}"


def revocations_policy(guid: str) -> str:
    """Name of the managed policy on every person's role that says who is denied."""
    return f"IsthmusRevocations-{suffix(guid)}"


def policy_arn(account: str, policy: str, partition: str = "aws") -> str:
    """ARN of a managed policy of the account by name."""
    return f"arn:{partition}:iam::{account}:policy/{policy}"


def onboarding_document(guid: str) -> str:
    """Name of the one SSM document that the onboarding role may run."""
    return f"Isthmus-Onboarding-{suffix(guid)}"


def machine_profile(guid: str) -> str:
    """Name of the instance role and of its instance profile."""
    return f"IsthmusMachine-{suffix(guid)}"


def person_session_name(shown: str, object_id: str) -> str:
    """RoleSessionName of a person's session: what people call them as far as it fits, and the object id, which is nobody else's."""
    readable = re.sub(r"[^A-Za-z0-9_+=,@-]+", "-", shown)[:27].strip("-")
    return f"{readable or 'person'}.{object_id.lower()}"


def role_for(solution: str, guid: str) -> str:
    """Name of the role that a solution type assumes; KeyError for a type that reaches no account."""
    return {INVENTORY: inventory_role, ONBOARDING: onboarding_role, ACCESS: access_role}[solution](guid)


def role_arn(account: str, role: str, partition: str = "aws") -> str:
    """ARN of a role by name; our roles have the path `/`."""
    return f"arn:{partition}:iam::{account}:role/{role}"


def audience(account: str) -> str:
    """Audience of every token that Isthmus presents to STS for this account."""
    return f"isthmus:aws:{account}"


def people_audience(account: str) -> str:
    """Audience of the tokens by which people get a role in this account; roles of Isthmus itself do not take them."""
    return f"isthmus:people:{account}"


def subject(solution: str, guid: str) -> str:
    """Subject of such a token: the solution and the connector it speaks for."""
    return f"svc:{solution}:{guid.lower()}"


def session_name(guid: str) -> str:
    """RoleSessionName: carries the connector's GUID, so that one connector cannot be made to act for another (confused deputy)."""
    return f"ConnectorPrimaryIdentifier_{guid.lower()}"
