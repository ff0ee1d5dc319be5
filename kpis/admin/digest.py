"""Digests, which people edit, and those that were sent, which they look at."""

from __future__ import annotations

from typing import Any, cast

from csp.decorators import csp
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe
from unfold.decorators import action

from kpis.digest.preview import previews
from kpis.models import DigestDelivery, DigestPlan
from kpis.validation import digest_faults
from t4g_portal.lib import content_policies
from t4g_portal.lib.admin import LookOnlyAdmin, ManyAdmin
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import ago


class DigestPlanForm(forms.ModelForm):  # type: ignore[type-arg]
    """A digest that is sent at a time that exists."""

    class Meta:
        model = DigestPlan
        fields = [
            "name",
            "audience",
            "is_enabled",
            "cadence",
            "at",
            "weekday",
            "day",
            "time_zone",
            "channels",
            "contacts",
        ]

    def clean(self) -> dict[str, Any]:
        """Check when it is sent."""
        cleaned = super().clean() or self.cleaned_data
        for fault in digest_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned


@admin.register(DigestPlan)
class DigestPlanAdmin(ManyAdmin):
    form = DigestPlanForm
    list_display = [
        "name",
        "cadence",
        "at",
        "audience",
        "next_time",
        "last_sent",
        "is_enabled",
    ]
    list_filter = ["cadence", "audience", "is_enabled"]
    list_select_related = ["state"]
    search_fields = ["name"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    actions_detail = ["preview", "clone_row"]
    autocomplete_fields = ["channels", "contacts"]
    fieldsets = [
        (None, {"fields": ["name", "audience", "is_enabled"]}),
        (_("When"), {"fields": ["cadence", "at", "weekday", "day", "time_zone"]}),
        (
            _("To whom"),
            {
                "fields": ["channels", "contacts"],
                "description": _(
                    "Each reads it in their own language; a person by the way that "
                    "disturbs least."
                ),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DigestPlan]:
        last = DigestDelivery.objects.filter(plan=OuterRef("pk"))
        newest = last.order_by("-local_date").values("composed_at")[:1]
        queryset: QuerySet[DigestPlan] = super().get_queryset(request)
        return queryset.annotate(last_sent_at=Subquery(newest))

    def get_urls(self) -> list[URLPattern]:
        mail = path(
            "<path:object_id>/preview/<int:number>/mail/",
            self.admin_site.admin_view(self.mail),
            name="kpis_digestplan_mail",
        )
        return [mail, *super().get_urls()]

    @admin.display(description=_("next"), ordering="state__next_at")
    def next_time(self, plan: DigestPlan) -> str:
        # The engine gives a new or switched on plan its time within a minute.
        state = getattr(plan, "state", None)
        return ago(state.next_at if state is not None and plan.is_enabled else None)

    @admin.display(description=_("last sent"))
    def last_sent(self, plan: Any) -> str:
        return ago(plan.last_sent_at)

    @action(  # type: ignore[untyped-decorator]
        description=_("Preview"), url_path="preview", icon="visibility"
    )
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what would leave now, to each kind of reader."""
        return self._preview(request, object_id)

    @method_decorator(require_safe)
    def _preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.demand(request, "view_or_change")
        plan = cast(DigestPlan, self.get_object(request, unquote(object_id)))
        found = previews(plan=plan, now=timezone.now())
        languages = dict(settings.LANGUAGES)
        shown_forms = [
            {
                "shown": shown,
                "language": languages.get(shown.language, shown.language),
                "mail_url": reverse(
                    "admin:kpis_digestplan_mail", args=[plan.pk, number]
                ),
            }
            for number, shown in enumerate(found)
        ]
        context = {
            "opts": self.opts,
            "original": plan,
            "forms": shown_forms,
            "is_reaching": any(shown.receivers for shown in found),
            "back_url": reverse("admin:kpis_digestplan_change", args=[plan.pk]),
        }
        return render_page(
            request, "kpis/digest_preview.html", context, title=str(_("Preview"))
        )

    @method_decorator(
        [require_safe, csp(content_policies.MAIL), xframe_options_sameorigin]
    )
    def mail(self, request: HttpRequest, object_id: str, number: int) -> HttpResponse:
        """One form alone, for a frame of the page: it can run and load nothing."""
        self.demand(request, "view_or_change")
        plan = cast(DigestPlan, self.get_object(request, unquote(object_id)))
        found = previews(plan=plan, now=timezone.now())
        if number >= len(found) or not found[number].preview.html:
            raise Http404
        return HttpResponse(found[number].preview.html)


@admin.register(DigestDelivery)
class DigestDeliveryAdmin(LookOnlyAdmin):
    list_display = ["plan", "local_date", "composed_at", "is_late", "message_count"]
    list_filter = ["plan", "is_late"]
    list_select_related = ["plan"]
    ordering = ["-local_date"]
