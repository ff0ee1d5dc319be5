"""Policies with their steps, teams, and which service follows which policy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import StackedInline, TabularInline
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from incidents import policy_rules, preview, priorities, reach
from incidents.admin.forewarning import ForewarnedForm, ForewarningAdmin
from incidents.escalation import Policy
from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    ServicePolicy,
    Team,
)
from incidents.models.schedule import weekdays
from notifications.models import Channel
from t4g_portal.lib.priority import Priority

_WHOM = ("channels", "schedules", "contacts", "teams")


class ChannelChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Channels with the word for why one would not be told."""

    def label_from_instance(self, obj: Any) -> str:
        return channel_words(obj)


def channel_words(channel: Channel) -> str:
    """Return a channel's name, and why it would not be told."""
    if not channel.is_enabled:
        return _("%(channel)s (disabled)") % {"channel": channel.name}
    if not channel.is_configured:
        return _("%(channel)s (not configured)") % {"channel": channel.name}
    return channel.name


class PolicyForm(ForewarnedForm):
    """A policy without its steps."""

    class Meta:
        model = EscalationPolicy
        fields = ("name", "description", "ack_expires_s")

    def clean(self) -> dict[str, Any]:
        """Check what the columns can't."""
        cleaned = super().clean() or self.cleaned_data
        for fault in policy_rules.policy_faults(cleaned):
            self.add_error(fault.field, fault.message)
        return cleaned


class StepForm(forms.ModelForm):  # type: ignore[type-arg]
    """One step: when, whom, how often again, in which hours."""

    only_weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("only on"),
        choices=weekdays,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=gettext_lazy("No day chosen: every day."),
    )

    class Meta:
        model = EscalationStep
        fields = (
            "after_s",
            "repeat_s",
            "repeat_limit",
            "has_mention",
            "channels",
            "schedules",
            "contacts",
            "teams",
            "only_weekdays",
            "only_from",
            "only_until",
            "time_zone",
        )

    def clean(self) -> dict[str, Any]:
        """Check what the columns can't."""
        cleaned = super().clean() or self.cleaned_data
        for fault in policy_rules.step_faults(cleaned):
            self.add_error(fault.field, fault.message)
        if not self.errors and policy_rules.names_nobody(cleaned, _WHOM):
            self.add_error(
                "channels",
                _("It tells nobody. Choose a channel, a schedule, a person or a team."),
            )
        return cleaned


class StepInline(StackedInline):  # type: ignore[misc]
    model = EscalationStep
    form = StepForm
    extra = 0
    ordering = ("after_s", "position", "pk")
    autocomplete_fields = ("contacts",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "after_s",
                    "channels",
                    "schedules",
                    "contacts",
                    "teams",
                    "has_mention",
                    "repeat_s",
                    "repeat_limit",
                )
            },
        ),
        (
            gettext_lazy("Only in these hours"),
            {
                "fields": ("only_weekdays", "only_from", "only_until", "time_zone"),
                "classes": ("collapse",),
            },
        ),
    )

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "channels":
            kwargs["form_class"] = ChannelChoices
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
            kwargs["queryset"] = Channel.objects.order_by("name")
        elif db_field.name in {"schedules", "teams"}:
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(ForewarningAdmin):
    form = PolicyForm
    inlines = (StepInline,)
    list_display = ("name", "step_count", "followed_by", "description")
    search_fields = ("name", "description")
    ordering = ("name",)
    readonly_fields = ("in_words",)
    fields = ("name", "description", "ack_expires_s", "in_words")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationPolicy]:
        rows: QuerySet[EscalationPolicy] = super().get_queryset(request)
        return rows.annotate(step_count=Count("steps")).prefetch_related(
            "priority_rules", "service_policies__service"
        )

    @admin.display(description=gettext_lazy("steps"), ordering="step_count")
    def step_count(self, policy: Any) -> int:
        return int(policy.step_count)

    @admin.display(description=gettext_lazy("what it does"))
    def in_words(self, policy: EscalationPolicy) -> SafeString:
        plain = Policy(
            priority=Priority.P0,
            response_s=0,
            ack_expires_s=policy.ack_expires_s,
            steps=priorities.steps_of(policy=policy),
        )
        world = reach.world_of(policy=plain, at=timezone.now())
        said = preview.sentences(policy=plain, world=world)
        return render_to_string("incidents/_policy_in_words.html", {"said": said})

    @admin.display(description=gettext_lazy("followed by"))
    def followed_by(self, policy: EscalationPolicy) -> str:
        rules = [rule.priority.upper() for rule in policy.priority_rules.all()]
        own = [
            f"{line.service.name} {line.priority.upper()}".strip()
            for line in policy.service_policies.all()
        ]
        return ", ".join([*sorted(rules), *sorted(own)]) or _("nothing")


@admin.register(Team)
class TeamAdmin(ForewarningAdmin):
    list_display = ("name", "member_count")
    search_fields = ("name", "members__name")
    ordering = ("name",)
    autocomplete_fields = ("members",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        rows: QuerySet[Team] = super().get_queryset(request)
        return rows.annotate(member_count=Count("members"))

    @admin.display(description=gettext_lazy("members"), ordering="member_count")
    def member_count(self, team: Any) -> int:
        return int(team.member_count)


class ServicePolicyInline(TabularInline):  # type: ignore[misc]
    """Where a service follows another policy than the matrix says."""

    model = ServicePolicy
    extra = 0
    fields = ("priority", "policy")
