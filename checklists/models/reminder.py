"""What a run's people were reminded of, each thing once. Engine-owned."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from checklists.models.run import ChecklistRun


class Reminder(models.Model):
    """One thing that was said about a run, or how its gate was when that was noticed.

    `checklists.reminding` alone writes them. `mark` names what was said exactly, such as
    "waiver:7:days:1"; a second one of the same mark is refused by the database.
    """

    class Kind(models.TextChoices):
        DEADLINE = "deadline", _("Deadline near")
        ITEM = "item", _("Item grows old")
        WAIVER = "waiver", _("Waiver ends")
        READY = "ready", _("Gate open")
        CLOSED = "closed", _("Gate closed again")

    run = models.ForeignKey(
        ChecklistRun,
        verbose_name=pgettext_lazy("checklist", "run"),
        on_delete=models.PROTECT,
        related_name="reminders",
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    mark = models.CharField(_("mark"), max_length=120)
    at = models.DateTimeField(_("at"))
    # How many people a way led to. Of an open gate nobody is told.
    told_count = models.PositiveIntegerField(_("people told"), default=0)

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(
                fields=["run", "mark"], name="checklists_reminder_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.mark}"
