"""Rotations: whose turns follow each other, how long each is, at which hours it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import TabularInline

from incidents.admin.oncall.forms import RotationForm
from incidents.admin.oncall.gap_warning import GapWarningAdmin, Part
from incidents.models import Participant, Rotation
from incidents.models.schedule import weekdays


class TurnsShown:
    """Columns with how a rotation's turns go, and whose they are."""

    @admin.display(description=gettext_lazy("turns"))
    def turns(self, rotation: Rotation) -> str:
        return _turns(rotation)

    @admin.display(description=gettext_lazy("people, in their order"))
    def people(self, rotation: Rotation) -> str:
        return _people(rotation)


class ParticipantInline(TabularInline):  # type: ignore[misc]
    """Who takes turns, in which order."""

    model = Participant
    fields = ("contact", "position")
    autocomplete_fields = ("contact",)
    ordering = ("position", "pk")
    ordering_field = "position"
    hide_ordering_field = True
    extra = 0
    hide_title = True


@admin.register(Rotation)
class RotationAdmin(TurnsShown, GapWarningAdmin):
    part = Part(
        schedules=lambda row: [row.schedule_id],
        without=lambda plan, row: replace(
            plan, layers=tuple(one for one in plan.layers if one.id != row.pk)
        ),
    )
    form = RotationForm
    inlines = (ParticipantInline,)
    list_display = ("name", "schedule", "position", "turns", "people")
    list_filter = ("schedule",)
    list_select_related = ("schedule",)
    search_fields = ("name", "schedule__name", "participants__contact__name")
    ordering = ("schedule__name", "-position", "pk")
    fieldsets = (
        (None, {"fields": ("schedule", "name", "position")}),
        (
            gettext_lazy("Turns"),
            {"fields": (("length", "unit"), ("starts_on", "handoff_time"), "ends_on")},
        ),
        (
            gettext_lazy("Only at some hours"),
            {"fields": ("only_weekdays", ("only_from", "only_until"))},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rotation]:
        rows: QuerySet[Rotation] = super().get_queryset(request)
        return rows.prefetch_related(
            Prefetch(
                "participants", queryset=Participant.objects.select_related("contact")
            )
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # A rotation stays where it is: its past is that schedule's.
        return () if obj is None else ("schedule",)


def _turns(rotation: Rotation) -> str:
    """Say how long a turn is, when it changes hands and at which hours it holds."""
    said = [
        {
            Rotation.Unit.HOUR: ngettext("%(n)d hour", "%(n)d hours", rotation.length),
            Rotation.Unit.DAY: ngettext("%(n)d day", "%(n)d days", rotation.length),
            Rotation.Unit.WEEK: ngettext("%(n)d week", "%(n)d weeks", rotation.length),
        }[Rotation.Unit(rotation.unit)]
        % {"n": rotation.length},
        _("from %(time)s") % {"time": f"{rotation.handoff_time:%H:%M}"},
    ]
    if rotation.only_weekdays:
        known = dict(weekdays())
        said.append(
            ", ".join(known[day] for day in known if day in rotation.only_weekdays)
        )
    if rotation.only_from is not None and rotation.only_until is not None:
        said.append(f"{rotation.only_from:%H:%M} – {rotation.only_until:%H:%M}")
    return " · ".join(said)


def _people(rotation: Rotation) -> str:
    """Name who takes turns, in order."""
    names = [seat.contact.name for seat in rotation.participants.all()]
    return " → ".join(names) or _("nobody yet")
