"""Who acts on a checklist: a person, a program with a key, or the portal itself."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from incidents import people
from t4g_portal.lib import audit
from t4g_portal.lib.models import ApiKey


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for rows and for the audit chain.

    `user` of a program is the owner of its key: whoever has the key made is behind it.
    """

    user: User | None
    name: str
    chained: audit.Actor


def person(user: User) -> Actor:
    """Return a person as who acts."""
    name = people.name(user=user)
    return Actor(user, name, audit.Actor(audit.ActorKind.USER, str(user.pk), name))


def program(key: ApiKey) -> Actor:
    """Return a program that came with a key."""
    return Actor(
        key.owner, key.name, audit.Actor(audit.ActorKind.KEY, key.key_id, key.name)
    )


def engine(name: str = "portal") -> Actor:
    """Return the portal itself; `name` says which part of it."""
    return Actor(None, name, audit.Actor(audit.ActorKind.ENGINE, "engine", name))
