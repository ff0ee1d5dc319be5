"""Thresholds, with the sentence that they mean beside them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from monitors import validation
from monitors.models import Monitor, Threshold
from monitors.thresholds.sentences import threshold_sentence
from t4g_portal.lib.admin import PortalAdmin


class ThresholdForm(forms.ModelForm):  # type: ignore[type-arg]
    """A threshold; what contradicts itself is said at its field."""

    class Meta:
        model = Threshold
        fields = "__all__"  # noqa: DJ007 the admin's fieldsets name them

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        cleaned = super().clean() or self.cleaned_data
        for fault in validation.threshold_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(Threshold)
class ThresholdAdmin(PortalAdmin):
    form = ThresholdForm
    list_display = ["name", "sentence", "is_enabled"]
    list_filter = ["measure", "service", "is_enabled"]
    list_select_related = ["service", "monitor"]
    search_fields = ["name", "monitor__name", "service__name", "tag", "series_name"]
    ordering = ["measure", "name"]
    readonly_fields = ["sentence"]
    autocomplete_fields = ["monitor"]
    fieldsets = [
        (None, {"fields": ["name", "sentence", "is_enabled"]}),
        (
            _("What is measured"),
            {
                "fields": [
                    "measure",
                    "aggregate",
                    ("window_s", "min_sample_count"),
                ]
            },
        ),
        (
            _("On what"),
            {
                "fields": [
                    "monitor",
                    "service",
                    "tag",
                    "series_name",
                    "series_labels",
                ]
            },
        ),
        (
            _("When it fires"),
            {
                "fields": [
                    "comparison",
                    ("critical_bound", "critical_priority"),
                    ("warning_bound", "warning_priority"),
                    ("for_count", "for_s"),
                    "clear_bound",
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Threshold]:
        queryset: QuerySet[Threshold] = super().get_queryset(request)
        return queryset.select_related("service", "monitor").defer("monitor__secret")

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "series_labels":
            field.widget.attrs["rows"] = 2
        return field

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "monitor":
            kwargs["queryset"] = Monitor.objects.defer("secret")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description=_("in words"))
    def sentence(self, threshold: Threshold) -> str:
        if not threshold.name:
            return str(_("Said here once it is saved."))
        return threshold_sentence(threshold)
