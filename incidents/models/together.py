"""What people agree on during an incident: who takes it over, who has which role."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from incidents import people
from incidents.models.incident import Incident
from notifications.models import Contact


class Handover(models.Model):
    """Somebody asked somebody to take an incident over, or to hand it over.

    Nobody's acknowledgement is taken away: the one who is asked decides.
    """

    class Direction(models.TextChoices):
        # "Take it": the asked one would have it.
        OFFER = "offer", _("take it over")
        # "Let me take it": the asker would have it.
        REQUEST = "request", _("hand it over")

    class Status(models.TextChoices):
        ASKED = "asked", _("Asked")
        ACCEPTED = "accepted", _("Accepted")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        # Resolved, or somebody else has it: nobody needs to answer any more.
        ENDED = "ended", pgettext_lazy("handover", "Ended")

    incident = models.ForeignKey(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="handovers",
    )
    direction = models.CharField(
        _("wish"), max_length=10, choices=Direction.choices, default=Direction.OFFER
    )
    asker_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked by (account)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    asker_contact = models.ForeignKey(
        Contact,
        verbose_name=_("asked by (contact)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # In words, for whoever is deleted later.
    asker_name = models.CharField(_("asked by"), max_length=150)
    asked_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("who is asked (account)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    asked_contact = models.ForeignKey(
        Contact,
        verbose_name=_("who is asked (contact)"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    asked_name = models.CharField(_("who is asked"), max_length=150)
    comment = models.CharField(_("comment"), max_length=300, blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ASKED
    )
    asked_at = models.DateTimeField(_("asked at"))
    answered_at = models.DateTimeField(_("answered at"), null=True)

    class Meta:
        verbose_name = _("hand-over")
        verbose_name_plural = _("hand-overs")
        constraints = [
            models.UniqueConstraint(
                fields=["incident"],
                condition=Q(status="asked"),
                name="incidents_handover_one_asked_an_incident",
            ),
            models.CheckConstraint(
                condition=Q(status="asked", answered_at__isnull=True)
                | Q(
                    status__in=["accepted", "declined", "withdrawn", "ended"],
                    answered_at__isnull=False,
                ),
                name="incidents_handover_answered_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(direction__in=["offer", "request"]),
                name="incidents_handover_direction_known",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.incident_id}: {self.asker_name} → {self.asked_name}"

    @property
    def is_offer(self) -> bool:
        """Whether the asked one would have it."""
        return self.direction == self.Direction.OFFER

    def asks(self, actor: people.Actor) -> bool:
        """Whether it is for `actor` to answer."""
        return people.is_same(
            actor, user_id=self.asked_user_id, contact_id=self.asked_contact_id
        )

    def is_of(self, actor: people.Actor) -> bool:
        """Whether `actor` has asked."""
        return people.is_same(
            actor, user_id=self.asker_user_id, contact_id=self.asker_contact_id
        )


class IncidentRole(models.Model):
    """Who does what in an incident, besides mending it."""

    class Role(models.TextChoices):
        COMMANDER = "commander", _("Commander")
        COMMUNICATIONS = "communications", _("Communications")
        SCRIBE = "scribe", _("Scribe")

    incident = models.ForeignKey(
        Incident,
        verbose_name=_("incident"),
        on_delete=models.PROTECT,
        related_name="roles",
    )
    role = models.CharField(_("role"), max_length=20, choices=Role.choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("account"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    name = models.CharField(_("name"), max_length=150)
    given_at = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("role in an incident")
        verbose_name_plural = _("roles in incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "role"], name="incidents_role_once_an_incident"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["commander", "communications", "scribe"]),
                name="incidents_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.incident_id} {self.role}: {self.name}"

    def is_of(self, actor: people.Actor) -> bool:
        """Whether `actor` has the role."""
        return people.is_same(actor, user_id=self.user_id, contact_id=self.contact_id)
