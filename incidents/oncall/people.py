"""Who the reader of a page is on the on-call calendar."""

from __future__ import annotations

from django.http import HttpRequest

from notifications.models import Contact


def contact_of(request: HttpRequest) -> Contact | None:
    """Return the contact of whoever is signed in, in 1 query; None without one."""
    if not request.user.is_authenticated:
        return None
    return Contact.objects.filter(user_id=request.user.pk).first()
