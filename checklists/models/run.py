"""One release's copy of a checklist. Services alone write these rows."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from checklists.models.template import (
    MAX_NAME,
    MAX_TITLE,
    ItemFields,
    TemplateVersion,
)
from incidents.models import Service
from t4g_portal.lib.commits import COMMIT


class ChecklistRun(models.Model):
    """A frozen copy of a template for one release: a service, a place, a commit."""

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("checklist run", "Open")
        CLOSED = "closed", pgettext_lazy("checklist run", "Closed")
        CANCELLED = "cancelled", pgettext_lazy("checklist run", "Cancelled")
        EXPIRED = "expired", pgettext_lazy("checklist run", "Expired")

    template_version = models.ForeignKey(
        TemplateVersion,
        verbose_name=_("template version"),
        on_delete=models.PROTECT,
        related_name="runs",
    )
    template_slug = models.SlugField(_("template"), max_length=60)
    template_name = models.CharField(_("template name"), max_length=MAX_NAME)
    template_name_fr = models.CharField(
        _("template name (French)"), max_length=MAX_NAME, blank=True
    )
    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="checklist_runs",
    )
    environment = models.SlugField(_("environment"), max_length=60)
    git_sha = models.CharField(
        _("commit"), max_length=64, validators=[RegexValidator(COMMIT)]
    )
    deployment = models.CharField(
        _("deployment"), max_length=500, blank=True, help_text=_("Its id or address.")
    )
    title = models.CharField(_("title"), max_length=MAX_TITLE, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.OPEN
    )
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("opened by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    opened_by_name = models.CharField(_("opened by (name)"), max_length=320)
    opened_at = models.DateTimeField(_("opened"))
    # When the present commit came, which the release stands on.
    moved_at = models.DateTimeField(_("commit since"))
    # Who brought it, when it is not the first one.
    moved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("commit by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    deadline = models.DateTimeField(_("deadline"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("ended by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    ended_by_name = models.CharField(_("ended by (name)"), max_length=320, blank=True)
    end_reason = models.TextField(_("reason"), blank=True)

    class Meta:
        verbose_name = _("checklist run")
        verbose_name_plural = _("checklist runs")
        permissions = [
            ("open_deploy_window", "Can open and close a deploy window of a run")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["template_slug", "service", "environment"],
                condition=Q(state="open"),
                name="checklists_run_one_open",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "closed", "cancelled", "expired"]),
                name="checklists_run_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True)
                | Q(
                    state__in=["closed", "cancelled", "expired"], ended_at__isnull=False
                ),
                name="checklists_run_over_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(git_sha__regex=COMMIT),
                name="checklists_run_commit_is_hex",
            ),
        ]
        indexes = [
            models.Index(
                fields=["service", "environment", "state"], name="checklists_run_gate"
            ),
            models.Index(fields=["-opened_at"], name="checklists_run_by_age"),
            models.Index(
                fields=["deadline"],
                condition=Q(state="open"),
                name="checklists_run_deadline",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_name} {self.pk}: {self.environment} {self.git_sha[:10]}"

    @property
    def is_open(self) -> bool:
        """Whether anything of it may still change."""
        return self.state == self.State.OPEN

    @property
    def subject(self) -> str:
        """What the audit chain calls it."""
        return f"run:{self.pk}"


class RunItem(ItemFields):
    """One line of a run: what the template asked when the run was opened."""

    run = models.ForeignKey(
        ChecklistRun,
        verbose_name=pgettext_lazy("checklist", "run"),
        on_delete=models.PROTECT,
        related_name="items",
    )
    section_position = models.PositiveSmallIntegerField(_("order of the section"))
    section_title = models.CharField(_("section"), max_length=MAX_TITLE)
    section_title_fr = models.CharField(
        _("section (French)"), max_length=MAX_TITLE, blank=True
    )
    owner_name = models.CharField(_("owner (name)"), max_length=120, blank=True)
    # Reopening makes the next; what was signed before counts no more.
    revision = models.PositiveIntegerField(_("revision"), default=1)
    content_hash = models.CharField(_("SHA-256"), max_length=64)
    next_verify_at = models.DateTimeField(_("verified next"), null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("run item")
        verbose_name_plural = _("run items")
        constraints = [
            models.UniqueConstraint(
                fields=["run", "key"], name="checklists_runitem_key_once"
            ),
            models.CheckConstraint(
                condition=Q(signatures_required__in=[1, 2]),
                name="checklists_runitem_one_or_two_sign",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_verify_at"],
                condition=Q(next_verify_at__isnull=False),
                name="checklists_item_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.key}"
