"""Who can be told, where, and how each of them wishes to be told."""

from __future__ import annotations

import hashlib
import json

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.priority import Priority

# A page that comes later than this is no page.
MAX_DELAY_S = 24 * 3600


def address_kinds() -> list[tuple[str, str]]:
    """Kinds of personal addresses; an open set, so no migration for a new one."""
    return [
        ("email", str(_("E-mail"))),
        ("phone", str(_("Phone"))),
        ("slack", str(_("Slack user"))),
    ]


def method_kinds() -> list[tuple[str, str]]:
    """Ways to tell a person; an open set, so no migration for a new one."""
    return [
        ("sms", str(_("SMS"))),
        ("slack", str(_("Slack"))),
        ("email", str(_("E-mail"))),
        ("voice", str(_("Phone call"))),
    ]


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
    is_catch_all = models.BooleanField(
        _("catch-all"),
        default=False,
        db_default=False,
        help_text=_("Told when a policy reaches nobody. One contact at most."),
    )

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(
                fields=["is_catch_all"],
                condition=Q(is_catch_all=True),
                name="notifications_contact_one_catch_all",
                violation_error_message=_("Another contact is the catch-all already."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def revision(self) -> str:
        """Changes with what people may change of a contact, its parts included."""
        own = [self.name, self.user_id, self.language, self.time_zone]
        switches = [self.is_enabled, self.is_catch_all]
        addresses = sorted(
            (one.kind, one.value, one.is_enabled) for one in self.addresses.all()
        )
        rules = sorted(
            (one.priority, one.method, one.delay_s) for one in self.rules.all()
        )
        text = json.dumps([own, switches, addresses, rules])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class AddressQuerySet(models.QuerySet["Address"]):
    """Addresses by whether anything may be sent there."""

    def verified(self) -> AddressQuerySet:
        """Keep those whose present value was verified."""
        return self.filter(verification__verified_value=F("value"))

    def usable(self) -> AddressQuerySet:
        """Keep verified addresses that are enabled, of contacts that are enabled."""
        return self.verified().filter(is_enabled=True, contact__is_enabled=True)


class Address(models.Model):
    """One place where one contact gets messages; it counts only when verified."""

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        related_name="addresses",
    )
    kind = models.CharField(_("kind"), max_length=30, choices=address_kinds)
    # In the form that `validation.normal_value` gives it.
    value = models.CharField(_("address"), max_length=254)
    is_enabled = models.BooleanField(_("enabled"), default=True)

    objects = AddressQuerySet.as_manager()

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

    @property
    def is_verified(self) -> bool:
        """Whether its present value was verified; `select_related("verification")`."""
        try:
            return self.verification.verified_value == self.value
        except AddressVerification.DoesNotExist:
            return False


class AddressVerification(models.Model):
    """What the engine knows of an address: whose proof, and the code that is out.

    The code itself is stored nowhere: it is made from `code_nonce` and the portal's key.
    """

    address = models.OneToOneField(
        Address,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="verification",
    )
    # The address is verified while it has this value; an edit un-verifies it.
    verified_value = models.CharField(max_length=254, blank=True, default="")
    verified_at = models.DateTimeField(_("verified"), null=True, blank=True)
    code_nonce = models.CharField(max_length=32, blank=True, default="")
    # The value that the code went to: it proves nothing about another one.
    code_value = models.CharField(max_length=254, blank=True, default="")
    code_sent_at = models.DateTimeField(null=True, blank=True)
    code_expires_at = models.DateTimeField(null=True, blank=True)
    tries_left = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("verification of an address")
        verbose_name_plural = _("verifications of addresses")
        # Nobody edits it by hand; whoever may change the address verifies it.
        default_permissions = ()

    def __str__(self) -> str:
        return f"verification of address {self.address_id}"


class PersonalRule(models.Model):
    """How one person wishes to be told of one priority: by what, after how long.

    Who has none for a priority is told as `routing.DEFAULTS` says.
    """

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        related_name="rules",
    )
    priority = models.CharField(_("priority"), max_length=2, choices=Priority.choices)
    method = models.CharField(_("by"), max_length=20, choices=method_kinds)
    delay_s = models.PositiveIntegerField(
        _("after"),
        default=0,
        validators=[MaxValueValidator(MAX_DELAY_S)],
        help_text=_("Seconds since the page. 0: at once."),
    )

    class Meta:
        verbose_name = _("personal rule")
        verbose_name_plural = _("personal rules")
        ordering = ["priority", "delay_s", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "priority", "method"],
                name="notifications_personalrule_once_a_method",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=["p0", "p1", "p2", "p3"]),
                name="notifications_personalrule_priority_known",
            ),
            models.CheckConstraint(
                condition=Q(delay_s__lte=MAX_DELAY_S),
                name="notifications_personalrule_delay_bounded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.priority} {self.method} {self.delay_s}"
