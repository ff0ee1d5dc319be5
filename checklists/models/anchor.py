"""Where the head of the audit chain is kept outside, and when the chain was verified."""

from __future__ import annotations

from datetime import time

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.models import Channel, Contact
from t4g_portal.lib.audit.chain import Link
from t4g_portal.lib.audit.verifying import Wrong


class AuditAnchor(models.Model):
    """Who is mailed the head of the audit chain each day. People edit it."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    at = models.TimeField(_("at"), default=time(6, 0))
    time_zone = models.CharField(_("time zone"), max_length=60, default="Europe/Paris")
    channels = models.ManyToManyField(
        Channel, verbose_name=_("channels"), blank=True, related_name="+"
    )
    contacts = models.ManyToManyField(
        Contact, verbose_name=_("contacts"), blank=True, related_name="+"
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("audit anchor")
        verbose_name_plural = _("audit anchors")

    def __str__(self) -> str:
        return self.name


class AnchoredHead(models.Model):
    """A head that was mailed: one an anchor and local day. Verification compares it."""

    anchor = models.ForeignKey(
        AuditAnchor,
        verbose_name=_("audit anchor"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="heads",
    )
    anchor_name = models.CharField(_("anchor (name)"), max_length=120)
    # The day in the anchor's zone.
    local_date = models.DateField(_("day"))
    composed_at = models.DateTimeField(_("composed"))
    seq = models.BigIntegerField(_("entry"))
    hash = models.CharField(_("hash"), max_length=64)
    message_count = models.PositiveIntegerField(_("messages"))

    class Meta:
        verbose_name = _("mailed head")
        verbose_name_plural = _("mailed heads")
        constraints = [
            models.UniqueConstraint(
                fields=["anchor", "local_date"],
                name="checklists_anchoredhead_one_a_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.local_date} {self.seq}:{self.hash}"

    @property
    def link(self) -> Link:
        """The entry as it was known then."""
        return Link(self.seq, self.hash)


class AuditCheck(models.Model):
    """One verification of the whole chain, and what came of it."""

    at = models.DateTimeField(_("at"))
    count = models.BigIntegerField(_("entries"))
    # The last entry that was in order.
    seq = models.BigIntegerField(_("intact until entry"))
    hash = models.CharField(_("its hash"), max_length=64)
    compared_count = models.PositiveIntegerField(_("known heads compared"), default=0)
    # Empty: nothing is wrong.
    wrong = models.CharField(
        _("what is wrong"), max_length=20, choices=Wrong.choices, blank=True
    )
    wrong_seq = models.BigIntegerField(_("first wrong entry"), null=True)

    class Meta:
        verbose_name = _("check of the audit chain")
        verbose_name_plural = _("checks of the audit chain")
        constraints = [
            models.CheckConstraint(
                condition=Q(wrong="", wrong_seq__isnull=True)
                | Q(wrong__in=Wrong.values, wrong_seq__isnull=False),
                name="checklists_auditcheck_says_where",
            )
        ]
        indexes = [models.Index(fields=["-at"], name="checklists_auditcheck_newest")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.wrong or 'intact'} {self.seq}"

    @property
    def is_intact(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong
