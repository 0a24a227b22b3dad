"""As which Unix user a person's shells run: what their mail address begins with, where that is surely theirs and nobody else's.

Whoever chooses an address could choose a user of machines by it, so an address counts only where the installation's own provider vouches
for it and, where the operator names domains, only of these. In doubt there is no user, and then no shell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from isthmus.access.revocations import is_revoked
from isthmus.access.tokens import UNIX_USER
from isthmus.identity.evidence import SignedIn
from isthmus.store.tables import people

SETTING: Final = "ISTHMUS_RUN_AS_DOMAINS"
_RESERVED: Final = re.compile(
    r"abrt|adm|admin|administrator|almalinux|alpine|amazon|ansible|apache|arch|avahi|azureuser"
    r"|backup|bin|bitnami|centos|chrony|cloud-user|core|cwagent|daemon|dbus|debian|deploy"
    r"|dhcpcd|dnsmasq|docker|ec2-instance-connect|ec2-user|fedora|ftp|games|gdm|git|gnats"
    r"|gopher|guest|halt|himds|httpd|irc|isthmus|jenkins|kubernetes|landscape|libstoragemgmt"
    r"|list|lp|lxd|mail|man|messagebus|mysql|nagios|named|news|nfsnobody|nginx|nobody|nscd"
    r"|ntp|opc|operator|oracle|pcp|polkitd|pollinate|postfix|postgres|postmaster|proxy|puppet"
    r"|redis|rocky|root|rpc|rpcuser|rtkit|saslauth|setroubleshoot|shutdown|sshd|ssm-agent"
    r"|ssm-user|sssd|stapunpriv|sudo|suse|sync|sys|syslog|system|tcpdump|tomcat|toor|tss"
    r"|ubuntu|unbound|usbmux|user|uucp|uuidd|vagrant|wheel|whoopsie|www|www-data"
    r"|systemd-.*"
)
"""Users that systems, images and packages make, or that administer: none of them is a person. What begins with _ is no name here at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunAs:
    """What the operator says: whose addresses count (`domains`, lower case), and the provider that people sign in with (`issuer`)."""

    domains: frozenset[str] = frozenset()
    issuer: str = ""


def unix_user(connection: Connection, person: SignedIn, rules: RunAs) -> tuple[str, str]:
    """The user of a person's shells and an empty text; where they have none, an empty name and why, with what to do."""
    user, why = user_of(person, rules)
    if not why and _is_shared(connection, person, user, rules):
        whom = f"Somebody else here has an address that begins with '{user}' too, so that '{user}' could be either of you."
        return "", f"{whom} Let {SETTING} name the domain of one of you alone, or whoever left be offboarded: isthmus access offboard."
    return user, why


def user_of(person: SignedIn, rules: RunAs) -> tuple[str, str]:
    """The same as far as the sign-in alone tells. Pure."""
    name, _, domain = person.mail.rpartition("@")
    if person.issuer != rules.issuer:
        return "", f"You signed in by {person.issuer[:200]}, which is not this installation's provider now. Sign in again: 'isthmus login'."
    if not name:
        told = "The directory names no mail address of yours, or says that it has not verified it. Have it verified there"
        return "", f"{told}, then sign in again: 'isthmus login'."
    if rules.domains and domain.lower() not in rules.domains:
        told = f"Your address is of '{domain[:100]}', and shells are for people of {', '.join(sorted(rules.domains))}."
        return "", f"{told} Ask whoever runs this installation to name it in {SETTING}."
    user = name.lower()
    # Letters beyond ASCII could become one of its letters by being put into lower case.
    if not name.isascii() or not UNIX_USER.fullmatch(user):
        told = f"Your address begins with '{name[:64]}', which is no name of a Unix user (a letter, then 30 of a-z, 0-9, _, - and dots)."
        return "", f"{told} Ask your directory for an address that begins with one."
    if _RESERVED.fullmatch(user):
        return "", f"'{user}' is a user of the system and of no person. Ask your directory for an address that begins with a name of yours."
    return user, ""


def _is_shared(connection: Connection, person: SignedIn, user: str, rules: RunAs) -> bool:
    """Whether anybody else would be the same user, who has signed in by an address that counts and was not offboarded."""
    same = (func.lower(people.c.mail).like(f"{user.replace('_', '!_')}@%", escape="!"), people.c.issuer == rules.issuer)
    others = connection.execute(select(people).where(*same, people.c.object_id != person.object_id.lower())).all()
    counted = [one for one in others if not rules.domains or one.mail.rpartition("@")[2].lower() in rules.domains]
    return any(not is_revoked(connection, one.object_id) for one in counted)
