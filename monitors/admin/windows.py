"""Maintenance windows, with when they come next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from monitors import maintenance, validation
from monitors.forms import TagsField
from monitors.models import MaintenanceWindow, Monitor
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.history.reading import label_of
from t4g_portal.lib.templatetags.portal import clock, duration, span

_LOOK_AHEAD = timedelta(days=366)
_SHOWN_COUNT = 5


class WindowForm(forms.ModelForm):  # type: ignore[type-arg]
    """A window that recurs as somebody can expect, over something."""

    tags = TagsField(label=_("Tags"), help_text=_("Separated by commas."))

    class Meta:
        model = MaintenanceWindow
        fields = [
            "name",
            "is_enabled",
            "starts_at",
            "duration_s",
            "recurrence",
            "time_zone",
            "monitors",
            "services",
            "tags",
            "note",
            "public_note",
        ]

    def clean(self) -> dict[str, Any]:
        """Check that it recurs sensibly and covers something."""
        cleaned = super().clean() or self.cleaned_data
        for fault in validation.window_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        if not self.errors:
            for fault in validation.coverage_faults(cleaned):
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(ManyAdmin):
    form = WindowForm
    list_display = ["name", "next_one", "length", "covers", "is_enabled"]
    list_filter = ["is_enabled", "services"]
    search_fields = ["name", "note", "monitors__name", "services__name"]
    ordering = ["-is_enabled", "name"]
    actions = ["enable", "disable", "edit_several"]
    actions_detail = ["clone_row"]
    bulk_fields = ["is_enabled", "duration_s", "tags", "note"]
    autocomplete_fields = ["monitors", "services"]
    readonly_fields = ["next_ones"]
    fieldsets = [
        (None, {"fields": ["name", "note", "public_note", "is_enabled"]}),
        (
            _("When"),
            {
                "fields": [
                    "starts_at",
                    "duration_s",
                    "recurrence",
                    "time_zone",
                    "next_ones",
                ]
            },
        ),
        (_("What it covers"), {"fields": ["services", "monitors", "tags"]}),
    ]

    def bulk_faults(
        self, row: MaintenanceWindow, names: Sequence[str]
    ) -> Iterable[str]:
        values = {"duration_s": row.duration_s, "time_zone": row.time_zone}
        for fault in validation.window_faults(values):
            yield f"{label_of(MaintenanceWindow, fault.field)}: {fault.message}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[MaintenanceWindow]:
        queryset: QuerySet[MaintenanceWindow] = super().get_queryset(request)
        monitors = Prefetch("monitors", queryset=Monitor.objects.defer("secret"))
        return queryset.prefetch_related("services", monitors)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "monitors":
            kwargs["queryset"] = Monitor.objects.defer("secret")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @admin.display(description=_("next"))
    def next_one(self, window: MaintenanceWindow) -> str:
        now = timezone.now()
        found = _coming(window, now)
        if not found or not window.is_enabled:
            return "–"
        if found[0].started_at <= now:
            return format_html("{} {}", _("open, until"), clock(found[0].ends_at, now))
        return clock(found[0].started_at, now)

    @admin.display(description=_("length"), ordering="duration_s")
    def length(self, window: MaintenanceWindow) -> str:
        return duration(window.duration_s)

    @admin.display(description=_("covers"))
    def covers(self, window: MaintenanceWindow) -> str:
        names = [service.name for service in window.services.all()]
        names += [monitor.name for monitor in window.monitors.all()]
        return ", ".join([*names, *window.tags])

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in {"note", "public_note"}:
            field.widget.attrs["rows"] = 2
        return field

    @admin.display(description=_("next occurrences"))
    def next_ones(self, window: MaintenanceWindow) -> str:
        now = timezone.now()
        if not window.name:
            return str(_("Shown here once it is saved."))
        lines = format_html_join(
            "",
            "<li>{}</li>",
            (
                (span(one.started_at, one.ends_at, now),)
                for one in _coming(window, now)[:_SHOWN_COUNT]
            ),
        )
        return format_html("<ul>{}</ul>", lines) if lines else str(_("None ahead."))


def _coming(window: MaintenanceWindow, now: datetime) -> list[maintenance.Occurrence]:
    try:
        return maintenance.occurrences(
            spec=maintenance.spec_of(window), start=now, end=now + _LOOK_AHEAD
        )
    except maintenance.UnableToRepeat:
        return []
