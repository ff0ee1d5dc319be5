"""Shared destinations: a Slack channel, a mailing list, somebody's webhook."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.secrets import EncryptedTextField, has_secret


def channel_kinds() -> list[tuple[str, str]]:
    """Kinds with a transport; an open set, so no migration for a new one."""
    return [
        ("email", str(_("E-mail"))),
        ("slack_bot", str(_("Slack channel"))),
        ("slack", str(_("Slack incoming webhook"))),
        ("webhook", str(_("Signed webhook"))),
        ("sms", str(_("SMS"))),
        ("apprise", str(_("Apprise"))),
    ]


class Channel(models.Model):
    """One configured destination. What the admin edits; the engine never writes it."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    kind = models.CharField(_("kind"), max_length=30, choices=channel_kinds)
    # E-mail, SMS: separated by commas. Webhook: its URL. Slack: empty.
    address = models.CharField(
        _("address"),
        max_length=500,
        blank=True,
        help_text=_(
            "E-mail: one or more addresses, separated by commas. "
            "SMS: one or more numbers with their country codes. "
            "Slack channel: its ID (C…) or #name. "
            "Signed webhook: its URL. Slack incoming webhook, Apprise: leave empty."
        ),
    )
    # Slack, Apprise: the URL is itself the secret. Webhook: the signing secret.
    secret = EncryptedTextField(
        _("secret"),
        blank=True,
        help_text=_(
            "Slack: the webhook URL. Signed webhook: its signing secret. "
            "Apprise: its URL."
        ),
    )
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, blank=True
    )
    is_enabled = models.BooleanField(_("enabled"), default=False)

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")

    def __str__(self) -> str:
        return self.name

    @property
    def is_configured(self) -> bool:
        """Whether there is enough to send with."""
        if self.kind in {"slack", "apprise"}:
            return has_secret(self, "secret")
        if self.kind == "webhook":
            return bool(self.address) and has_secret(self, "secret")
        return bool(self.address)


class ChannelState(models.Model):
    """What the engine last saw of a channel."""

    channel = models.OneToOneField(
        Channel, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    sent_at = models.DateTimeField(_("last sent"), null=True)
    failed_at = models.DateTimeField(_("last failure"), null=True)
    error = models.TextField(_("last error"), blank=True)

    class Meta:
        verbose_name = _("channel state")
        verbose_name_plural = _("channel states")

    def __str__(self) -> str:
        return f"state of channel {self.channel_id}"
