"""Who vouches for an item, and who takes the risk of leaving it. Never deleted."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from checklists.models.run import RunItem


class Waiver(models.Model):
    """Two people's leave to release without an item, for a time."""

    class Ended(models.TextChoices):
        REFUSED = "refused", pgettext_lazy("waiver", "Refused")
        REVOKED = "revoked", pgettext_lazy("waiver", "Revoked")
        EXPIRED = "expired", pgettext_lazy("waiver", "Expired")

    item = models.ForeignKey(
        RunItem,
        verbose_name=_("item"),
        on_delete=models.PROTECT,
        related_name="waivers",
    )
    item_revision = models.PositiveIntegerField(_("revision"))
    git_sha = models.CharField(_("commit"), max_length=64)
    reason = models.TextField(_("reason"))
    risk = models.TextField(_("risk"))
    compensating_control = models.TextField(_("compensating control"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("requested by"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    requested_by_name = models.CharField(_("requested by (name)"), max_length=320)
    requested_at = models.DateTimeField(_("requested"))
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("approved by"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    approved_by_name = models.CharField(
        _("approved by (name)"), max_length=320, blank=True
    )
    approved_at = models.DateTimeField(_("approved"), null=True)
    expires_at = models.DateTimeField(_("expires"))
    # Once it was seen to be over it stays so, whatever the clock says later.
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_as = models.CharField(
        _("ended as"), max_length=8, choices=Ended.choices, blank=True
    )
    ended_by_name = models.CharField(_("ended by (name)"), max_length=320, blank=True)
    ended_reason = models.TextField(_("why it ended"), blank=True)

    class Meta:
        verbose_name = _("waiver")
        verbose_name_plural = _("waivers")
        permissions = [("waive", "Can ask for a waiver, approve and end one")]
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True)
                | ~Q(approved_by=F("requested_by")),
                name="checklists_waiver_by_two_people",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True, approved_at__isnull=True)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="checklists_waiver_approved_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_as="")
                | Q(
                    ended_at__isnull=False,
                    ended_as__in=["refused", "revoked", "expired"],
                ),
                name="checklists_waiver_ended_as_known",
            ),
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(ended_at__isnull=True),
                name="checklists_waiver_one_at_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=Q(ended_at__isnull=True),
                name="checklists_waiver_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.requested_at:%Y-%m-%d}"


class SignOff(models.Model):
    """One person's signature on one exact version of an item.

    Whether it still counts is computed by `checklists.standing`, never stored.
    """

    class Meaning(models.TextChoices):
        CHECKED = "checked", _("Checked")
        APPROVED = "approved", _("Approved")
        WAIVED = "waived", _("Waived")

    item = models.ForeignKey(
        RunItem,
        verbose_name=_("item"),
        on_delete=models.PROTECT,
        related_name="sign_offs",
    )
    item_revision = models.PositiveIntegerField(_("revision"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("signer"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    printed_name = models.CharField(_("printed name"), max_length=320)
    # The groups' name that the item asked for, as held then; else all that they had.
    role = models.CharField(_("role"), max_length=500, blank=True)
    meaning = models.CharField(_("meaning"), max_length=8, choices=Meaning.choices)
    statement = models.JSONField(_("statement"))
    statement_hash = models.CharField(_("SHA-256"), max_length=64)
    # The numbers of the evidence that counted, which may be thinned no more.
    rests_on = ArrayField(
        models.BigIntegerField(), verbose_name=_("rests on"), default=list
    )
    comment = models.TextField(_("comment"), blank=True)
    auth_method = models.CharField(_("authenticated by"), max_length=20)
    auth_at = models.DateTimeField(_("authenticated"))
    signed_at = models.DateTimeField(_("signed"))
    # Personal data, so neither in the statement nor in the chain: it may be erased.
    address = models.GenericIPAddressField(_("IP address"), null=True)
    waiver = models.ForeignKey(
        Waiver,
        verbose_name=_("waiver"),
        null=True,
        on_delete=models.PROTECT,
        related_name="sign_offs",
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("revoked by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    revoked_by_name = models.CharField(
        _("revoked by (name)"), max_length=320, blank=True
    )
    revoked_reason = models.TextField(_("reason"), blank=True)
    # The same person has signed anew.
    superseded_at = models.DateTimeField(_("superseded"), null=True)
    superseded_by = models.ForeignKey(
        "self",
        verbose_name=_("superseded by"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    class Meta:
        verbose_name = _("sign-off")
        verbose_name_plural = _("sign-offs")
        permissions = [("sign", "Can sign items of checklist runs")]
        constraints = [
            models.CheckConstraint(
                condition=Q(meaning__in=["checked", "approved"], waiver__isnull=True)
                | Q(meaning="waived", waiver__isnull=False),
                name="checklists_signoff_waives_a_waiver",
            ),
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(
                    waiver__isnull=True,
                    revoked_at__isnull=True,
                    superseded_at__isnull=True,
                ),
                name="checklists_signoff_once_a_person",
            ),
            models.UniqueConstraint(
                fields=["waiver", "user"],
                condition=Q(revoked_at__isnull=True, superseded_at__isnull=True),
                name="checklists_signoff_once_a_waiver",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-signed_at"], name="checklists_signoff_by")
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.printed_name} {self.meaning}"
