"""How an entry is hashed and follows the one before it. Pure: no rows, no clock.

    body = canonical JSON of {version, seq, at, actor, action, subject, details}
    hash = SHA-256( version byte ‖ hash of the entry before ‖ SHA-256(body) )

The body stands in the hash by its digest, so that a bundle may hand out the links of
other people's entries without their contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.audit.canonical import dumped, moment

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

VERSION = 1
# What the first entry follows on.
GENESIS = "0" * 64


class ActorKind(models.TextChoices):
    """Who can act: a person, a program with a key, or the portal by itself."""

    USER = "user", _("person")
    KEY = "key", _("API key")
    ENGINE = "engine", _("portal")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, by number and by the name they bore then."""

    kind: ActorKind
    id: str
    name: str

    @classmethod
    def user(cls, user: AbstractBaseUser) -> Self:
        """Return a signed-in person, by full name where there is one."""
        full = getattr(user, "get_full_name", str)()
        return cls(ActorKind.USER, str(user.pk), full or user.get_username())

    @classmethod
    def key(cls, *, key_id: str, name: str) -> Self:
        """Return a key of the API, by what its owner called it."""
        return cls(ActorKind.KEY, key_id, name)

    @classmethod
    def engine(cls, name: str) -> Self:
        """Return a part of the portal that acts by itself, such as a tick."""
        return cls(ActorKind.ENGINE, name, name)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the chain: where it stands and what its hash says."""

    seq: int
    hash: str


START = Link(0, GENESIS)


def body_of(
    *,
    version: int,
    seq: int,
    at: datetime,
    actor: Actor,
    action: str,
    subject: str,
    details: Any,
) -> bytes:
    """Return the canonical body of an entry. `details` is plain already."""
    return dumped(
        {
            "version": version,
            "seq": seq,
            "at": moment(at),
            "actor": {"kind": actor.kind, "id": actor.id, "name": actor.name},
            "action": action,
            "subject": subject,
            "details": details,
        }
    )


def hash_of(*, version: int, previous: str, body: bytes) -> str:
    """Return the hash of an entry that follows on the one with the hash `previous`."""
    return linked(version=version, previous=previous, digest=sha256(body).digest())


def linked(*, version: int, previous: str, digest: bytes) -> str:
    """Return the hash of an entry of whose body only the digest is known.

    Raises ValueError for a previous hash that isn't hex and a version above a byte.
    """
    return sha256(bytes([version]) + bytes.fromhex(previous) + digest).hexdigest()
