"""Whom one may ask, give a role or an action item: contacts, and accounts that act.

Forms name a person as "contact:7", or "user:3" for an account without a contact.
"""

from __future__ import annotations

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from incidents.people import Actor, name
from notifications.models import Contact

PERMISSION = "incidents.change_incident"


def choices() -> list[tuple[str, str]]:
    """Return everybody as (value, name), by name; two queries."""
    found = [(f"contact:{row.pk}", row.name) for row in _contacts()]
    found += [(f"user:{row.pk}", name(user=row)) for row in _accounts()]
    return sorted(found, key=lambda choice: choice[1].casefold())


def value_of(*, person: Actor) -> str:
    """Return how forms name somebody."""
    return named(
        contact_id=person.contact.pk if person.contact else None,
        user_id=person.user.pk if person.user else None,
    )


def named(*, contact_id: int | None, user_id: int | None) -> str:
    """Return how forms name whom a row means; empty for nobody."""
    if contact_id is not None:
        return f"contact:{contact_id}"
    return f"user:{user_id}" if user_id is not None else ""


def _contacts() -> QuerySet[Contact]:
    return Contact.objects.filter(is_enabled=True).select_related("user")


def _accounts() -> QuerySet[User]:
    return User.objects.with_perm(
        PERMISSION, backend="django.contrib.auth.backends.ModelBackend"
    ).filter(contact__isnull=True)


class PersonField(forms.CharField):
    """Somebody, as `people.Actor`; None for nobody, unless somebody is required."""

    default_error_messages = {
        "required": _("Choose somebody."),
        "unknown": _("Choose one of the people offered."),
    }

    def clean(self, value: object) -> Actor | None:
        """Look the person up."""
        text = super().clean(value)
        if not text:
            return None
        kind, _colon, number = str(text).partition(":")
        if number.isdecimal() and len(number) < 19:
            if kind == "contact":
                contact = _contacts().filter(pk=int(number)).first()
                if contact is not None:
                    return Actor(contact.user, contact)
            if kind == "user":
                user = _accounts().filter(pk=int(number)).first()
                if user is not None:
                    return Actor(user)
        raise ValidationError(self.error_messages["unknown"], code="unknown")
