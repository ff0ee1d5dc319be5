"""Saying who somebody is: an account, or a contact without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AbstractUser, User

from notifications.models import Contact


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an account, a contact (by SMS, link, Slack or phone), or both."""

    user: User | None = None
    contact: Contact | None = None

    def __post_init__(self) -> None:
        if self.user is None and self.contact is None:
            raise ValueError("somebody has to act")

    @property
    def name(self) -> str:
        """What people call them."""
        if self.user is not None:
            return name(user=self.user)
        return self.contact.name if self.contact is not None else ""

    @property
    def facts(self) -> dict[str, Any]:
        """What a timeline line keeps of a contact; it outlives the contact."""
        if self.contact is None:
            return {}
        return {"contact": {"id": self.contact.pk, "name": self.contact.name}}


def whole(actor: Actor) -> Actor:
    """Return an account with its contact and the other way round; one query at most."""
    if actor.user is not None and actor.contact is None:
        contact = Contact.objects.filter(user=actor.user).first()
        return Actor(actor.user, contact)
    if actor.user is None and actor.contact is not None:
        return Actor(actor.contact.user, actor.contact)
    return actor


def is_same(actor: Actor, *, user_id: int | None, contact_id: int | None) -> bool:
    """Whether a row that names an account, a contact, or both, means `actor`."""
    is_user = actor.user is not None and actor.user.pk == user_id
    is_contact = actor.contact is not None and actor.contact.pk == contact_id
    return is_user or is_contact


def name(*, user: AbstractBaseUser) -> str:
    """Return the full name, else the name that somebody signs in with."""
    full_name = user.get_full_name() if isinstance(user, AbstractUser) else ""
    return full_name or user.get_username()


def called(*, user: AbstractBaseUser | None, written: str) -> str:
    """Return who an account is today; without one, the name that was written down."""
    return name(user=user) if user is not None else written
