"""The outbox: a row for every message that must leave, and one for every try."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.models.channel import Channel
from notifications.models.contact import Address
from notifications.models.provider import Provider


class Notification(models.Model):
    """One message to one destination; written in the transaction that wants it sent.

    queued → sending (leased) → sent, or back to queued after a temporary failure, or
    dead after a permanent one; cancelled when nobody wants it any more; bundled when
    another one carries it: that one's fate is then its own.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        DEAD = "dead", _("Not delivered")
        CANCELLED = "cancelled", _("Cancelled")
        BUNDLED = "bundled", _("Told with others")

    class Lane(models.IntegerChoices):
        """A page never waits behind a digest."""

        PAGING = 0, _("Paging")
        NORMAL = 5, _("Normal")
        BULK = 9, _("Bulk")

    channel = models.ForeignKey(
        Channel,
        verbose_name=_("channel"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="notifications",
    )
    address = models.ForeignKey(
        Address,
        verbose_name=_("address"),
        null=True,
        blank=True,
        # What was said to somebody stays when the person goes: see `receiver`.
        on_delete=models.SET_NULL,
        related_name="notifications",
    )
    # Who gets it where, in words, as it was when this was written.
    receiver = models.CharField(
        _("to"), max_length=400, blank=True, default="", db_default=""
    )
    # How it gets there, such as "sms" or "voice"; empty: as the kind of its destination.
    method = models.CharField(
        _("method"), max_length=20, blank=True, default="", db_default=""
    )
    # Shared by the rows of one page to one person: when one of them fails for good, the
    # next of them goes out at once.
    route_key = models.CharField(
        max_length=150, blank=True, default="", db_default="", db_index=True
    )
    # Says the same thing twice only if somebody asks twice; also sent to the receiver.
    idempotency_key = models.CharField(max_length=200, unique=True)
    # What it is about, such as "incident:12"; cancelling goes by it.
    subject_key = models.CharField(_("about"), max_length=100, db_index=True)
    purpose = models.CharField(_("purpose"), max_length=30)
    lane = models.SmallIntegerField(choices=Lane.choices, default=Lane.NORMAL)
    # A notifications.message.Message as JSON.
    message = models.JSONField(_("message"))
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.QUEUED
    )
    queued_at = models.DateTimeField(_("queued"))
    next_attempt_at = models.DateTimeField(_("next attempt"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    # A failure from here on is final.
    give_up_at = models.DateTimeField(_("given up from"))
    # Asked for while it was being sent; the sender decides what became of it.
    cancel_requested_at = models.DateTimeField(
        _("cancel requested"), null=True, blank=True
    )
    # The one that carries it, and says so in a line of its own.
    bundled_into = models.ForeignKey(
        "self",
        verbose_name=_("told with"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="bundled",
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    attempt_count = models.PositiveIntegerField(_("attempts"), default=0)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    # Why it was cancelled or is dead, in words.
    outcome = models.TextField(_("outcome"), blank=True)
    # What the receiver answered: message id, server's words.
    receipt = models.JSONField(_("receipt"), default=dict, blank=True)
    # What the provider calls it; its reports name it so.
    provider_message_id = models.CharField(
        max_length=100, blank=True, default="", db_default="", db_index=True
    )
    # What became of it after the provider took it: see `receipts`.
    delivery_status = models.CharField(
        _("delivery"), max_length=12, blank=True, default="", db_default=""
    )
    delivered_at = models.DateTimeField(_("delivered"), null=True, blank=True)
    # When the provider is asked, because its report has not come; NULL: not any more.
    report_due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.CheckConstraint(
                # Neither: its address was deleted since.
                condition=Q(channel__isnull=True) | Q(address__isnull=True),
                name="notifications_notification_one_destination",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "queued",
                        "sending",
                        "sent",
                        "dead",
                        "cancelled",
                        "bundled",
                    ]
                ),
                name="notifications_notification_status_known",
            ),
        ]
        indexes = [
            # delivery.claim_due
            models.Index(
                fields=["lane", "next_attempt_at"],
                condition=Q(status__in=["queued", "sending"]),
                name="notifications_due",
            ),
            models.Index(fields=["-queued_at"], name="notifications_recent"),
            # bundling: what somebody was told in the last minutes
            models.Index(
                fields=["address", "-ended_at"],
                condition=Q(address__isnull=False),
                name="notifications_told_lately",
            ),
            # reports.check_due
            models.Index(
                fields=["report_due_at"],
                condition=Q(report_due_at__isnull=False),
                name="notifications_report_due",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.purpose} {self.subject_key}"


class Attempt(models.Model):
    """One try to deliver one notification."""

    class Outcome(models.TextChoices):
        SENT = "sent", _("Sent")
        TEMPORARY = "temporary", _("Temporary failure")
        PERMANENT = "permanent", _("Refused for good")
        # The process died between sending and recording, or the answer was lost: perhaps
        # sent.
        LOST = "lost", _("Outcome unknown")

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="attempts"
    )
    started_at = models.DateTimeField(_("started"))
    duration_ms = models.PositiveIntegerField(_("duration"), default=0)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome.choices)
    detail = models.TextField(_("detail"), blank=True)
    provider = models.ForeignKey(
        Provider,
        verbose_name=_("provider"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        # It may be deleted while a message is on its way through it.
        db_constraint=False,
    )
    # Its name then: an attempt outlives its provider.
    via = models.CharField(
        _("through"), max_length=120, blank=True, default="", db_default=""
    )

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")

    def __str__(self) -> str:
        return f"attempt {self.pk} of notification {self.notification_id}"


class DeliveryReport(models.Model):
    """What a provider said of a message that it had taken, each thing once."""

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="reports"
    )
    at = models.DateTimeField(_("reported"))
    # One of `receipts.RANKS`.
    status = models.CharField(_("status"), max_length=12)
    # In the provider's own words.
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("delivery report")
        verbose_name_plural = _("delivery reports")
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "status", "detail"],
                name="notifications_deliveryreport_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.status} of notification {self.notification_id}"
