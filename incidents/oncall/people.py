"""Who the reader of a page, or the owner of a key, is on the on-call calendar."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.utils.translation import gettext as _

from incidents.oncall.acting import UnableToChangeCalendar
from notifications.models import Contact


def contact_of(request: HttpRequest) -> Contact | None:
    """Return the contact of whoever is signed in, in 1 query; None without one."""
    if not request.user.is_authenticated:
        return None
    return Contact.objects.filter(user_id=request.user.pk).first()


def choosable(
    request: HttpRequest, me: Contact | None, *, permission: str
) -> list[int]:
    """Return the contacts whom the reader may name: anybody with the permission."""
    if request.user.has_perm(permission):
        return list(
            Contact.objects.filter(is_enabled=True).values_list("pk", flat=True)
        )
    return [me.pk] if me else []


def contact_of_user(user: User | AnonymousUser) -> Contact:
    """Return the contact of an account that acts for itself.

    Raises UnableToChangeCalendar for an account without one.
    """
    contact = Contact.objects.filter(user_id=user.pk or 0).first()
    if contact is None:
        raise UnableToChangeCalendar(
            _("Your account belongs to no contact. Ask an administrator to link one.")
        )
    return contact
