"""What an incident leaves behind: its postmortem and what somebody will change."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from incidents import people
from incidents.models.incident import Incident
from notifications.models import Contact


class Postmortem(models.Model):
    """What happened, why, and what was learned; without blame.

    The end of a P0 or P1 makes it due. Each part is Markdown.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        FINISHED = "finished", pgettext_lazy("postmortem", "Finished")
        # A person decided that none is needed, and why.
        WAIVED = "waived", _("Not needed")

    incident = models.OneToOneField(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="postmortem",
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.DRAFT
    )
    # Empty: somebody writes one that nobody asked for.
    due_on = models.DateField(_("due"), null=True)
    owner_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner (account)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    owner_contact = models.ForeignKey(
        Contact,
        verbose_name=_("owner (contact)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    owner_name = models.CharField(_("owner"), max_length=150, blank=True)
    summary = models.TextField(_("summary"), blank=True)
    impact = models.TextField(_("impact"), blank=True)
    cause = models.TextField(_("causes"), blank=True)
    response = models.TextField(_("response"), blank=True)
    lessons = models.TextField(_("lessons"), blank=True)
    waived_reason = models.CharField(_("why not"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created"))
    # Who saved it last; grows with each save, so that nobody overwrites unseen.
    edited_at = models.DateTimeField(_("edited"), null=True)
    edited_by_name = models.CharField(_("edited by"), max_length=150, blank=True)
    revision = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(_("finished"), null=True)
    ended_by_name = models.CharField(_("finished by"), max_length=150, blank=True)
    # The day of the last reminder.
    reminded_on = models.DateField(_("reminded"), null=True)

    class Meta:
        verbose_name = _("postmortem")
        verbose_name_plural = _("postmortems")
        constraints = [
            models.CheckConstraint(
                condition=Q(status="draft", ended_at__isnull=True)
                | Q(status__in=["finished", "waived"], ended_at__isnull=False),
                name="incidents_postmortem_ended_has_a_time",
            ),
        ]
        indexes = [
            # The list of what is open, and the reminders.
            models.Index(
                fields=["due_on"],
                condition=Q(status="draft"),
                name="incidents_postmortem_open",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.incident_id}"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to write it."""
        return self.status == self.Status.DRAFT

    @property
    def is_required(self) -> bool:
        """Whether the rules ask for it."""
        return self.due_on is not None

    def is_of(self, actor: people.Actor) -> bool:
        """Whether `actor` writes it."""
        return people.is_same(
            actor, user_id=self.owner_user_id, contact_id=self.owner_contact_id
        )


class ActionItem(models.Model):
    """Something that somebody will change, so that it does not happen again."""

    class Status(models.TextChoices):
        OPEN = "open", pgettext_lazy("action item", "Open")
        DONE = "done", pgettext_lazy("action item", "Done")
        DROPPED = "dropped", pgettext_lazy("action item", "Dropped")

    incident = models.ForeignKey(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="action_items",
    )
    text = models.CharField(_("what will change"), max_length=300)
    owner_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner (account)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    owner_contact = models.ForeignKey(
        Contact,
        verbose_name=_("owner (contact)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    owner_name = models.CharField(_("owner"), max_length=150, blank=True)
    due_on = models.DateField(_("due"))
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.OPEN
    )
    created_at = models.DateTimeField(_("created"))
    created_by_name = models.CharField(_("created by"), max_length=150, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by_name = models.CharField(_("ended by"), max_length=150, blank=True)
    reminded_on = models.DateField(_("reminded"), null=True)

    class Meta:
        verbose_name = _("action item")
        verbose_name_plural = _("action items")
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open", ended_at__isnull=True)
                | Q(status__in=["done", "dropped"], ended_at__isnull=False),
                name="incidents_actionitem_ended_has_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_on"],
                condition=Q(status="open"),
                name="incidents_actionitem_open",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.incident_id} {self.text}"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.status == self.Status.OPEN

    def is_of(self, actor: people.Actor) -> bool:
        """Whether it is `actor`'s to do."""
        return people.is_same(
            actor, user_id=self.owner_user_id, contact_id=self.owner_contact_id
        )
