"""What an item's sign-off rests on. Rows are added and withdrawn, never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from checklists.models.run import RunItem

MAX_FILE_BYTES = 2 * 1024 * 1024


class EvidenceQuerySet(models.QuerySet["Evidence"]):
    """Filters that read aloud."""

    def standing(self) -> EvidenceQuerySet:
        """Those that nobody withdrew."""
        return self.filter(withdrawn_at__isnull=True)


class Evidence(models.Model):
    """One proof of one revision of an item."""

    class Kind(models.TextChoices):
        VERIFICATION = "verification", _("Verified by the portal")
        LINK = "link", _("Link")
        FILE = "file", _("File")
        NOTE = "note", _("Note")
        CI_PAYLOAD = "ci_payload", _("Sent by a program")

    class Verdict(models.TextChoices):
        PASSED = "passed", _("Passed")
        FAILED = "failed", _("Failed")
        UNKNOWN = "unknown", _("Unknown")
        NOT_CONNECTED = "not_connected", _("Not connected")

    item = models.ForeignKey(
        RunItem,
        verbose_name=_("item"),
        on_delete=models.PROTECT,
        related_name="evidence",
    )
    item_revision = models.PositiveIntegerField(_("revision"))
    # The run's commit when it came.
    git_sha = models.CharField(_("commit"), max_length=64)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    title = models.CharField(_("title"), max_length=200, blank=True)
    payload = models.JSONField(_("payload"), default=dict, blank=True)
    url = models.URLField(_("address"), max_length=1000, blank=True)
    file = models.BinaryField(_("file"), null=True)
    file_name = models.CharField(_("file name"), max_length=200, blank=True)
    # Of the canonical payload, or of the file.
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    # What a signature rests on: of a verification, what was looked at and the verdict,
    # so that the next look with the same outcome leaves signatures valid.
    basis_sha256 = models.CharField(_("SHA-256 of the basis"), max_length=64)
    verdict = models.CharField(
        _("verdict"), max_length=13, choices=Verdict.choices, blank=True
    )
    captured_at = models.DateTimeField(_("captured"))
    # Of a program: whose key it has.
    captured_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("captured by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    captured_by_name = models.CharField(_("captured by (name)"), max_length=320)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("withdrawn by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    withdrawn_by_name = models.CharField(
        _("withdrawn by (name)"), max_length=320, blank=True
    )
    withdrawn_reason = models.TextField(_("reason"), blank=True)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind__in=["verification", "link", "file", "note", "ci_payload"]
                ),
                name="checklists_evidence_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    verdict__in=["", "passed", "failed", "unknown", "not_connected"]
                ),
                name="checklists_evidence_verdict_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind="verification") | ~Q(verdict=""),
                name="checklists_evidence_verification_says_something",
            ),
        ]
        indexes = [
            models.Index(
                fields=["item", "-captured_at"], name="checklists_evidence_of_item"
            )
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.kind} {self.sha256[:10]}"
