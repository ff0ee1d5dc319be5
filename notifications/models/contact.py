"""Who can be told, and where."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


def address_kinds() -> list[tuple[str, str]]:
    """Kinds of personal addresses; an open set, so no migration for a new one."""
    return [("email", str(_("E-mail"))), ("phone", str(_("Phone")))]


class Contact(models.Model):
    """A person or a shared mailbox or phone; linked to a portal user or not."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("portal user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="contact",
    )
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, blank=True
    )
    time_zone = models.CharField(_("time zone"), max_length=60, blank=True)
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")

    def __str__(self) -> str:
        return self.name


class Address(models.Model):
    """One way to reach one contact."""

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        related_name="addresses",
    )
    kind = models.CharField(_("kind"), max_length=30, choices=address_kinds)
    value = models.CharField(_("address"), max_length=254)
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "kind", "value"],
                name="notifications_address_once_a_contact",
            )
        ]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.kind} {self.value}"
