"""What must stay true of the road to people."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.expectations import keeping, words
from incidents.expectations.judging import with_names
from incidents.expectations.rules import expectation_faults
from incidents.models import ReachExpectation, ReachExpectationState
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.templatetags.portal import ago


class ExpectationForm(forms.ModelForm):  # type: ignore[type-arg]
    """An expectation that makes sense."""

    class Meta:
        model = ReachExpectation
        fields = [
            "name",
            "is_enabled",
            "service",
            "policy",
            "priority",
            "occasion",
            "weekday",
            "clock",
            "at",
            "time_zone",
            "contact",
            "schedule",
            "team",
            "channel",
            "method",
            "within_s",
        ]

    def clean(self) -> dict[str, Any]:
        """Check what the columns can't."""
        cleaned = super().clean() or self.cleaned_data
        for fault in expectation_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(ReachExpectation)
class ReachExpectationAdmin(ManyAdmin):
    form = ExpectationForm
    list_display = ("name", "in_words", "holds", "since", "is_enabled")
    list_filter = ("is_enabled", "state__status", "priority", "service")
    search_fields = ("name", "service__name", "policy__name")
    ordering = ("name",)
    actions = ("enable", "disable")
    autocomplete_fields = ("contact",)
    readonly_fields = ("in_words", "outcome")
    fieldsets = (
        (None, {"fields": ("name", "is_enabled", "in_words", "outcome")}),
        (gettext_lazy("What breaks"), {"fields": ("service", "policy", "priority")}),
        (
            gettext_lazy("When"),
            {"fields": ("occasion", ("weekday", "clock"), "at", "time_zone")},
        ),
        (
            gettext_lazy("Who must be told"),
            {
                "fields": (
                    "contact",
                    "schedule",
                    "team",
                    "channel",
                    "method",
                    "within_s",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReachExpectation]:
        return with_names(super().get_queryset(request))

    @admin.display(description=gettext_lazy("what must stay true"))
    def in_words(self, expectation: ReachExpectation) -> str:
        if expectation._state.adding:
            return "–"
        return words.sentence(expectation)

    @admin.display(description=gettext_lazy("state"), ordering="state__status")
    def holds(self, expectation: ReachExpectation) -> str:
        state = _state(expectation)
        return state.get_status_display() if state else "–"

    @admin.display(description=gettext_lazy("since"), ordering="state__since")
    def since(self, expectation: ReachExpectation) -> str:
        state = _state(expectation)
        return ago(state.since) if state else "–"

    @admin.display(description=gettext_lazy("judged last"))
    def outcome(self, expectation: ReachExpectation) -> str:
        state = _state(expectation)
        if state is None:
            return _("Save it, then it is judged.")
        said = words.outcome(state, now=timezone.now())
        return f"{state.get_status_display()}. {said}"

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        keeping.judge_one(expectation_id=form.instance.pk, now=timezone.now())


def _state(expectation: ReachExpectation) -> ReachExpectationState | None:
    if not expectation.is_enabled:
        return None
    return cast("ReachExpectationState | None", getattr(expectation, "state", None))
