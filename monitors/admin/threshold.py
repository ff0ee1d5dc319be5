"""Thresholds, with the sentence that they mean beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from monitors import validation
from monitors.models import Monitor, Threshold
from monitors.pages.trial import trial_page
from monitors.thresholds.sentences import threshold_sentence
from monitors.thresholds.trying import Trial, UnableToTry, try_on_history
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.history.reading import label_of
from t4g_portal.lib.pages import render_page

# What decides when it fires; a name does not.
_VALUES = [
    field.attname
    for field in Threshold._meta.concrete_fields
    if field.name not in ("id", "name", "is_enabled")
]


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
class ThresholdAdmin(ManyAdmin):
    form = ThresholdForm
    list_display = ["name", "sentence", "is_enabled"]
    list_filter = ["measure", "service", "is_enabled"]
    list_select_related = ["service", "monitor"]
    search_fields = ["name", "monitor__name", "service__name", "tag", "series_name"]
    ordering = ["measure", "name"]
    actions = ["enable", "disable", "edit_several"]
    actions_detail = ["clone_row"]
    bulk_fields = [
        "is_enabled",
        "critical_bound",
        "critical_priority",
        "warning_bound",
        "warning_priority",
        "clear_bound",
        "window_s",
        "min_sample_count",
        "for_count",
        "for_s",
    ]
    readonly_fields = ["sentence"]
    autocomplete_fields = ["monitor"]
    change_form_after_template = "admin/monitors/threshold/_try.html"
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

    class Media:
        css = {"all": ["portal/trial.css"]}
        js = ["portal/trial.js"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.try_view))
        ours = [path("try/", view, name="monitors_threshold_try")]
        return [*ours, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        address = reverse("admin:monitors_threshold_try")
        if object_id is not None:
            address += f"?{urlencode({'of': object_id})}"
        return super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), "try_url": address}
        )

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Show what the posted values would have fired; saves nothing.

        `?of`: the threshold that is being edited. Who may only look at it tries it as
        it is.
        """
        of = request.GET.get("of", "")
        stored = cast("Threshold", self.get_object(request, of)) if of else None
        if stored is None:
            self.demand(request, "add")
        else:
            self.demand(request, "view_or_change")
        is_fragment = request.headers.get("X-Requested-With") == "try"
        tried, faults = self._tried(request, stored)
        if tried is None:
            if is_fragment:
                return JsonResponse({"faults": faults})
            return self._as_page(request, {"faults": faults}, status=422)
        now = timezone.now()
        try:
            trial = try_on_history(threshold=tried, now=now)
            is_same = stored is None or all(
                getattr(stored, name) == getattr(tried, name) for name in _VALUES
            )
            before = None if is_same else _before(stored, now)
        except UnableToTry:
            said = {"": [_("There is too much history to read. Narrow the scope.")]}
            if is_fragment:
                return JsonResponse({"faults": said})
            return self._as_page(request, {"faults": said}, status=422)
        context = {"page": trial_page(trial=trial, before=before), "now": now}
        if is_fragment:
            return render(request, "admin/monitors/threshold/_trial.html", context)
        return self._as_page(request, context)

    def _as_page(
        self, request: HttpRequest, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        return render_page(
            request,
            "admin/monitors/threshold/try.html",
            context,
            title=str(_("Try on history")),
            status=status,
        )

    def _tried(
        self, request: HttpRequest, stored: Threshold | None
    ) -> tuple[Threshold | None, dict[str, list[str]]]:
        """Return the threshold as typed, or what is wrong with it, by field."""
        if stored is not None and not self.has_change_permission(request, stored):
            return stored, {}
        edited = copy(stored) if stored is not None else None
        form_class = self.get_form(request, edited, change=edited is not None)
        form = form_class(request.POST, instance=edited)
        # A name changes nothing of what fires.
        form.fields.pop("name", None)
        if form.is_valid():
            return form.instance, {}
        return None, {
            "" if name == NON_FIELD_ERRORS else name: [str(said) for said in errors]
            for name, errors in form.errors.items()
        }

    def bulk_faults(self, row: Threshold, names: Sequence[str]) -> Iterable[str]:
        values = {
            column.name: getattr(row, column.name)
            for column in Threshold._meta.concrete_fields
        }
        for fault in validation.threshold_faults(values):
            yield f"{label_of(Threshold, fault.field)}: {fault.message}"

    @admin.display(description=_("in words"))
    def sentence(self, threshold: Threshold) -> str:
        if not threshold.name:
            return str(_("Said here once it is saved."))
        return threshold_sentence(threshold)


def _before(stored: Threshold | None, now: datetime) -> Trial | None:
    """Return the same of the values as saved, None where that is too much to read."""
    if stored is None:
        return None
    try:
        return try_on_history(threshold=stored, now=now)
    except UnableToTry:
        return None
