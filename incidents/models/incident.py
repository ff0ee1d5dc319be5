"""What people handle, and its timeline."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from incidents import people
from incidents.models.service import Service
from notifications.models import Contact
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Filters that read aloud."""

    def open(self) -> IncidentQuerySet:
        """Not resolved."""
        return self.exclude(status=Incident.Status.RESOLVED)

    def public(self) -> IncidentQuerySet:
        """Those on the status page; `is_on_status_page` for many."""
        return self.filter(service__is_public=True, is_public=True).exclude(
            priority=Priority.P3, is_publicity_pinned=False
        )


class Incident(models.Model):
    """One problem of one service; it groups the alerts that share a grouping key.

    Engine-owned: only `incidents.intake` and `incidents.services` write it.
    """

    class Status(models.TextChoices):
        TRIGGERED = "triggered", _("Triggered")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        RESOLVED = "resolved", _("Resolved")

    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="incidents",
    )
    grouping_key = models.CharField(_("grouping key"), max_length=200, blank=True)
    title = models.CharField(_("title"), max_length=300)
    priority = models.CharField(_("priority"), max_length=2, choices=Priority.choices)
    # Set by a person: alerts no longer raise or lower it.
    is_priority_pinned = models.BooleanField(default=False)
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.TRIGGERED
    )
    # Backdated to the first failure; `opened_at` is when it was noticed.
    started_at = models.DateTimeField(_("started"))
    opened_at = models.DateTimeField(_("opened"))
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("acknowledged by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # The same for somebody without an account, and who it was in words, for whoever is
    # deleted later.
    acknowledged_by_contact = models.ForeignKey(
        Contact,
        verbose_name=_("acknowledged by contact"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    acknowledged_by_name = models.CharField(
        max_length=150, blank=True, default="", db_default=""
    )
    # The first human acknowledgement, kept when it is taken back: MTTA counts it.
    first_acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("resolved by"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    resolved_by_contact = models.ForeignKey(
        Contact,
        verbose_name=_("resolved by contact"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    resolved_by_name = models.CharField(
        max_length=150, blank=True, default="", db_default=""
    )
    # Its alerts went to this one.
    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="merged",
    )
    # A rehearsal: everything about it says so, and no figure counts it.
    is_drill = models.BooleanField(_("drill"), default=False, db_default=False)
    is_flapping = models.BooleanField(_("flapping"), default=False)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    response_due_at = models.DateTimeField(_("response due"))
    # Nobody had acknowledged by `response_due_at`; recorded once.
    response_missed_at = models.DateTimeField(
        _("response missed"), null=True, blank=True
    )
    # What it is called where every letter counts: "1a" by SMS. The smallest number that
    # no open incident has, nor one that ended within a day.
    short_code = models.PositiveIntegerField(_("short number"), null=True, blank=True)
    # An acknowledgement that nobody renews ends then; None: it holds.
    ack_expires_at = models.DateTimeField(null=True, blank=True)
    # What it follows, as it was at opening (`incidents.escalation.policy`); later edits
    # touch no running incident.
    policy = models.JSONField(default=dict)
    # When the present climb began, and how many runs of each step are past. Without a
    # beginning it was opened before there were steps.
    escalation_began_at = models.DateTimeField(null=True, blank=True)
    escalation_runs = models.JSONField(
        default=list, db_default=Value([], models.JSONField())
    )
    # A step of the present climb reached nobody; the portal alerts about that itself.
    has_empty_step = models.BooleanField(
        _("a step reached nobody"), default=False, db_default=False
    )
    # Pages written so far; the number of each is part of its idempotency key.
    escalation_count = models.PositiveIntegerField(default=0)
    next_escalation_at = models.DateTimeField(null=True, blank=True)
    # When the last page was written to the outbox; the repeats count from it.
    paged_at = models.DateTimeField(null=True, blank=True)
    # Whether the status page shows it. Alerts about what users can feel make it so.
    is_public = models.BooleanField(_("public"), default=True, db_default=True)
    # Set by a person: alerts no longer publish it.
    is_publicity_pinned = models.BooleanField(default=False, db_default=False)
    # What the public is told, in words; the title may hold internals and never leaves.
    public_message = models.TextField(
        _("public message"), blank=True, default="", db_default=""
    )
    public_message_at = models.DateTimeField(null=True, blank=True)
    # The last page found no channel that could carry it; pages show it in red.
    is_untold = models.BooleanField(_("nobody could be told"), default=False)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["service", "grouping_key"],
                condition=~Q(status="resolved"),
                name="incidents_incident_one_open_a_group",
            ),
            models.UniqueConstraint(
                fields=["short_code"],
                condition=~Q(status="resolved"),
                name="incidents_incident_one_open_a_short_code",
            ),
            models.CheckConstraint(
                condition=Q(status="resolved", resolved_at__isnull=False)
                | Q(status__in=["triggered", "acknowledged"], resolved_at__isnull=True),
                name="incidents_incident_resolved_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="acknowledged") | Q(acknowledged_at__isnull=False),
                name="incidents_incident_acknowledged_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="incidents_incident_priority_known",
            ),
        ]
        indexes = [
            # escalation.advance_due
            models.Index(
                fields=["next_escalation_at"],
                condition=Q(next_escalation_at__isnull=False),
                name="incidents_due_escalation",
            ),
            # advancing._note_missed
            models.Index(
                fields=["response_due_at"],
                condition=Q(first_acknowledged_at=None, response_missed_at=None)
                & ~Q(status="resolved"),
                name="incidents_due_response",
            ),
            models.Index(
                fields=["id"],
                condition=Q(has_empty_step=True) & ~Q(status="resolved"),
                name="incidents_reached_nobody",
            ),
            models.Index(fields=["-opened_at"], name="incidents_recent"),
            models.Index(
                fields=["service", "-resolved_at"], name="incidents_service_recent"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {retold(self.title)}"

    @property
    def is_open(self) -> bool:
        """Whether somebody may still have to act."""
        return self.status != self.Status.RESOLVED

    def is_calling(self, *, now: datetime) -> bool:
        """Whether nobody has it and it is not snoozed: somebody has to be told."""
        is_asleep = self.snoozed_until is not None and self.snoozed_until > now
        return self.status == self.Status.TRIGGERED and not is_asleep

    @property
    def is_on_status_page(self) -> bool:
        """Whether the status page shows it.

        P3 is read tomorrow by us, of no effect on users; unless a person says so.
        """
        is_felt = self.priority != Priority.P3 or self.is_publicity_pinned
        return self.service.is_public and self.is_public and is_felt

    @property
    def length(self) -> timedelta | None:
        """How long it lasted, from the first failure; None while it is open."""
        return self.resolved_at - self.started_at if self.resolved_at else None

    @property
    def is_resolved_by_person(self) -> bool:
        """Whether somebody declared it over; otherwise its alerts ended it."""
        return bool(self.resolved_by_id or self.resolved_by_name)

    @property
    def holder(self) -> str:
        """Who has acknowledged it, by name; empty when nobody has."""
        return people.called(
            user=self.acknowledged_by, written=self.acknowledged_by_name
        )

    @property
    def resolver(self) -> str:
        """Who has declared it over, by name; empty when its alerts ended it."""
        return people.called(user=self.resolved_by, written=self.resolved_by_name)


class IncidentEvent(models.Model):
    """One line of an incident's timeline. The database refuses changes to it."""

    class Kind(models.TextChoices):
        OPENED = "opened", _("Opened")
        ALERT_FIRED = "alert_fired", _("Alert fired")
        ALERT_RESOLVED = "alert_resolved", _("Alert resolved")
        HELD_BACK = "held_back", _("Held back")
        NOTIFIED = "notified", _("Notified")
        ESCALATED = "escalated", _("Paged again")
        UNTOLD = "untold", _("Nobody could be told")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        UNACKNOWLEDGED = "unacknowledged", _("Acknowledgement taken back")
        PRIORITY_CHANGED = "priority_changed", _("Priority changed")
        SNOOZED = "snoozed", _("Snoozed")
        WOKEN = "woken", _("Snooze ended")
        ACK_EXPIRED = "ack_expired", _("Acknowledgement expired")
        RENEWED = "renewed", _("Still worked on")
        RESPONSE_MISSED = "response_missed", _("Response deadline missed")
        EMPTY_STEP = "empty_step", _("A step reached nobody")
        ESCALATED_NOW = "escalated_now", _("Escalated")
        NOTE = "note", _("Note")
        RESOLVED = "resolved", _("Resolved")
        REOPENED = "reopened", _("Reopened")
        PUBLISHED = "published", _("Told the public")
        HANDOVER_ASKED = "handover_asked", _("Asked to take over")
        HANDOVER_ENDED = "handover_ended", _("Hand-over not made")
        HANDED_OVER = "handed_over", _("Handed over")
        MERGED = "merged", _("Merged into another")
        TOOK_IN = "took_in", _("Took another in")
        ROLE_CHANGED = "role_changed", _("Role changed")
        POSTMORTEM = "postmortem", _("Postmortem")
        ACTION_ITEM = "action_item", _("Action item")

    class Via(models.TextChoices):
        ENGINE = "engine", _("the portal")
        WEB = "web", _("the web page")
        ADMIN = "admin", _("the admin")
        API = "api", _("the API")
        LINK = "link", _("a link")
        SLACK = "slack", _("Slack")
        SMS = "sms", _("SMS")
        VOICE = "voice", _("a phone call")

    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, related_name="events"
    )
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("person"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    via = models.CharField(
        _("via"), max_length=12, choices=Via.choices, default=Via.ENGINE
    )
    text = models.TextField(_("text"), blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("timeline entry")
        verbose_name_plural = _("timeline")
        indexes = [
            models.Index(fields=["incident", "-at", "-id"], name="incidents_timeline")
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.kind} {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def who(self) -> str:
        """Who did it, by name; empty for the portal itself. Reads `actor`."""
        contact = self.data.get("contact") or {}
        return people.called(user=self.actor, written=contact.get("name", ""))
