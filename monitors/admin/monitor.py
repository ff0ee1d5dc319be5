"""Monitors: pick a kind, then fill in what that kind asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import TabularInline
from unfold.decorators import action

from monitors import validation
from monitors.forms import PROBED_ONLY, AssertionForm, bind, option_names
from monitors.models import Assertion, Monitor
from monitors.probes import registry
from monitors.queries.shown import shown_status
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.history.reading import label_of
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import duration


class AssertionInline(TabularInline):  # type: ignore[misc]
    model = Assertion
    form = AssertionForm
    fields = ["position", "subject", "argument", "operator", "expected"]
    ordering_field = "position"
    hide_ordering_field = True
    ordering = ["position", "pk"]
    extra = 0

    def get_formset(
        self, request: HttpRequest, obj: Monitor | None = None, **kwargs: Any
    ) -> Any:
        bound = type(
            "AssertionForm", (AssertionForm,), {"kind_name": _kind(request, obj)}
        )
        return super().get_formset(request, obj, form=bound, **kwargs)


@admin.register(Monitor)
class MonitorAdmin(ManyAdmin):
    list_display = ["name", "shown_state", "service", "kind", "every", "tag_list"]
    list_filter = ["service", "kind", "is_enabled"]
    search_fields = ["name", "target", "service__name"]
    ordering = ["service__position", "service__name", "name"]
    actions = ["pause", "resume", "edit_several"]
    actions_detail = ["probe_now", "clone_row"]
    bulk_fields = [
        "service",
        "is_enabled",
        "interval_s",
        "timeout_s",
        "failures_to_down",
        "successes_to_up",
        "retry_interval_s",
        "runbook_url",
        "tags",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Monitor]:
        # Deferred: lists and forms never hold a secret, readable or not.
        queryset: QuerySet[Monitor] = super().get_queryset(request)
        return (
            queryset.defer("secret")
            .annotate(has_secret=~Q(secret=""))
            .select_related("service", "state")
        )

    def view_on_site(self, obj: Monitor) -> str:
        return reverse("monitors:detail", args=[obj.pk])

    def get_form(
        self,
        request: HttpRequest,
        obj: Monitor | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        kwargs["form"] = bind(
            kind=_kind(request, obj),
            may_allow_private=request.user.has_perm("monitors.use_private_targets"),
        )
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Monitor | None = None) -> Any:
        kind = _kind(request, obj)
        secret = ["new_secret"]
        if getattr(obj, "has_secret", False):
            secret.append("clear_secret")
        sets: list[tuple[Any, dict[str, Any]]] = [
            (
                None,
                {
                    "fields": [
                        "name",
                        "service",
                        "target",
                        "tags",
                        "runbook_url",
                        "is_enabled",
                        "counts_for_service",
                    ]
                },
            ),
            (registry.get(kind).label, {"fields": option_names(kind)}),
            (_("Secret"), {"fields": secret}),
            (
                _("Timing"),
                {
                    "fields": [
                        ("interval_s", "timeout_s"),
                        ("failures_to_down", "successes_to_up"),
                        "retry_interval_s",
                        "may_use_private_targets",
                    ]
                },
            ),
        ]
        if not registry.get(kind).is_passive:
            return [(title, part) for title, part in sets if part["fields"]]
        return [
            (title, {"fields": [name for name in part["fields"] if name != "target"]})
            for title, part in sets
            if not set(_flat(part["fields"])) <= set(PROBED_ONLY)
        ]

    def get_inlines(self, request: HttpRequest, obj: Monitor | None = None) -> Any:
        has_subjects = bool(registry.get(_kind(request, obj)).subjects)
        return [AssertionInline] if has_subjects else []

    @method_decorator(sensitive_post_parameters("new_secret"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may_add = object_id is not None or self.has_add_permission(request)
        if object_id is None and may_add and not _asked_kind(request):
            return self._pick_kind(request)
        context = dict(extra_context or {})
        if object_id is None:
            context["title"] = _("Add a monitor: %(kind)s") % {
                "kind": registry.get(_kind(request, None)).label
            }
        return super().changeform_view(request, object_id, form_url, context)

    def has_probe_now_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("monitors.probe_now")

    def clone_changes(self, request: HttpRequest) -> dict[str, Any]:
        # A copy gives nobody what they could not give to a new monitor.
        if request.user.has_perm("monitors.use_private_targets"):
            return {}
        return {"may_use_private_targets": False}

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        buttons: list[Any] = super().get_actions_detail(request, object_id)
        passive = [kind for kind in registry.kinds() if registry.get(kind).is_passive]
        if Monitor.objects.filter(pk=object_id, kind__in=passive).exists():
            return [one for one in buttons if one.path != "probe"]
        return buttons

    @action(  # type: ignore[untyped-decorator]
        description=_("Probe now"),
        url_path="probe",
        permissions=["probe_now"],
        icon="network_check",
    )
    def probe_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        monitor = self.get_object(request, unquote(object_id))
        return redirect("monitors:probe_now", monitor.pk)

    def _pick_kind(self, request: HttpRequest) -> HttpResponse:
        return render_page(
            request,
            "admin/monitors/monitor/pick_kind.html",
            {"probes": [registry.get(kind) for kind in registry.kinds()]},
            title=str(_("Add a monitor")),
        )

    @admin.display(description=_("state"), ordering="state__status")
    def shown_state(self, monitor: Monitor) -> SafeString:
        status = shown_status(getattr(monitor, "state", None), timezone.now())
        return render_to_string("_status.html", {"status": status})

    @admin.display(description=_("interval"), ordering="interval_s")
    def every(self, monitor: Monitor) -> str:
        return "" if monitor.is_heartbeat else duration(monitor.interval_s)

    @admin.display(description=_("tags"))
    def tag_list(self, monitor: Monitor) -> str:
        return ", ".join(monitor.tags)

    @admin.action(description=_("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Monitor]) -> None:
        self.switch(
            request,
            queryset,
            is_enabled=False,
            sentence=lambda count: ngettext(
                "%(count)d monitor paused.", "%(count)d monitors paused.", count
            ),
        )

    @admin.action(description=_("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Monitor]) -> None:
        self.switch(
            request,
            queryset,
            is_enabled=True,
            sentence=lambda count: ngettext(
                "%(count)d monitor resumed.", "%(count)d monitors resumed.", count
            ),
        )

    def bulk_faults(self, row: Monitor, names: Sequence[str]) -> Iterable[str]:
        asks_nobody = row.kind in registry.kinds() and registry.get(row.kind).is_passive
        if asks_nobody and set(names) & set(PROBED_ONLY):
            yield str(_("A heartbeat calls us: it has no timing of this kind."))
            return
        values = {name: getattr(row, name) for name in _TIMING}
        for fault in validation.timing_faults(values):
            yield f"{label_of(Monitor, fault.field)}: {fault.message}"


_TIMING = (
    "interval_s",
    "timeout_s",
    "retry_interval_s",
    "failures_to_down",
    "successes_to_up",
)


def _asked_kind(request: HttpRequest) -> str:
    asked = request.GET.get("kind", "")
    return asked if asked in registry.kinds() else ""


def _kind(request: HttpRequest, obj: Monitor | None) -> str:
    """Return the kind of a monitor, or the one asked for when it is new.

    A stored kind without a probe any more is shown as the first one: its options
    can't be read, and what is saved is checked.
    """
    kind = obj.kind if obj is not None else _asked_kind(request)
    return kind if kind in registry.kinds() else registry.kinds()[0]


def _flat(fields: Any) -> list[str]:
    return [
        name
        for part in fields
        for name in (part if isinstance(part, tuple) else (part,))
    ]
