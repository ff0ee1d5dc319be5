"""Accounts at those who carry our messages further: SMS, calls, a Slack workspace."""

from __future__ import annotations

import secrets

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.secrets import EncryptedTextField


def provider_kinds() -> list[tuple[str, str]]:
    """Kinds of accounts that a transport knows; an open set, so no migration."""
    return [
        ("twilio", str(_("Twilio"))),
        ("ovh", str(_("OVHcloud SMS"))),
        ("slack", str(_("Slack app"))),
    ]


def new_url_token() -> str:
    """Return an unguessable part of a callback's address."""
    return secrets.token_urlsafe(24)


class Provider(models.Model):
    """One account. What the admin edits; the engine never writes it."""

    SECRETS = ("secret", "second_secret")

    name = models.CharField(_("name"), max_length=120, unique=True)
    kind = models.CharField(_("kind"), max_length=30, choices=provider_kinds)
    position = models.PositiveSmallIntegerField(
        _("order"),
        default=10,
        help_text=_("The lowest is used first, the next one when it fails."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=False)
    account = models.CharField(
        _("account"),
        max_length=100,
        blank=True,
        help_text=_(
            "Twilio: the account SID (AC…). OVHcloud: the SMS service (sms-…). "
            "Slack: the workspace's id (T…), or empty."
        ),
    )
    key_id = models.CharField(
        _("key"),
        max_length=100,
        blank=True,
        help_text=_("OVHcloud: the application key. Others: leave empty."),
    )
    # Twilio: auth token. OVHcloud: application secret. Slack: bot token.
    secret = EncryptedTextField(_("secret"), blank=True)
    # OVHcloud: consumer key. Slack: signing secret.
    second_secret = EncryptedTextField(_("second secret"), blank=True)
    sender = models.CharField(
        _("SMS sender"),
        max_length=40,
        blank=True,
        help_text=_(
            "Twilio: a number (+33…), a name, or a messaging service (MG…). OVHcloud: "
            "a validated name, or empty for a short number. Only what is sent to a "
            "number or a service of Twilio's is read."
        ),
    )
    voice_sender = models.CharField(
        _("calling number"),
        max_length=20,
        blank=True,
        help_text=_("Twilio: the number that calls come from. Empty: no calls."),
    )
    # Stands in the address that OVHcloud reports to, whose reports nobody signs.
    url_token = models.CharField(
        _("callback token"),
        max_length=64,
        unique=True,
        default=new_url_token,
        editable=False,
    )
    rate_per_s = models.FloatField(
        _("requests per second"),
        default=50,
        validators=[MinValueValidator(0.1), MaxValueValidator(1000)],
        help_text=_("The portal never sends faster than this."),
    )

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rate_per_s__gt=0),
                name="notifications_provider_rate_positive",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProviderState(models.Model):
    """What the engine last saw of a provider, and how fast it has been used."""

    provider = models.OneToOneField(
        Provider, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    sent_at = models.DateTimeField(_("last sent"), null=True)
    failed_at = models.DateTimeField(_("last failure"), null=True)
    error = models.TextField(_("last error"), blank=True)
    # Others are asked first until then.
    set_back_until = models.DateTimeField(null=True)
    # Nothing is sent before: the pace of `pacing`, or what a 429 asked for.
    next_free_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("provider state")
        verbose_name_plural = _("provider states")

    def __str__(self) -> str:
        return f"state of provider {self.provider_id}"
