"""Data sources: pick a kind, fill in what it asks for, and see whether it is safe."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action

from kpis.forms import FIELDS_OF, bind
from kpis.models import DataSource, DataSourceState
from kpis.reading import UnableToRead
from kpis.sources import registry
from kpis.sources.checking import check_source, is_checked
from notifications.admin.parts import label
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.pages import render_page

_PRIVATE = "monitors.use_private_targets"


@admin.register(DataSource)
class DataSourceAdmin(ManyAdmin):
    list_display = ["name", "kind", "shown_state", "last_answer", "is_enabled"]
    list_filter = ["kind", "is_enabled"]
    search_fields = ["name", "url"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    actions_detail = ["check_now"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DataSource]:
        # Deferred: lists and forms never hold a secret, readable or not.
        queryset: QuerySet[DataSource] = super().get_queryset(request)
        return (
            queryset.defer("secret")
            .annotate(has_secret=~Q(secret=""))
            .select_related("state")
        )

    def get_form(
        self,
        request: HttpRequest,
        obj: DataSource | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        kwargs["form"] = bind(
            kind=_kind(request, obj),
            may_allow_private=request.user.has_perm(_PRIVATE),
        )
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: DataSource | None = None) -> Any:
        has_secret = getattr(obj, "has_secret", False)
        kind = _kind(request, obj)
        groups = [
            [name for name in group if name != "clear_secret" or has_secret]
            for group in FIELDS_OF[kind]
        ]
        titles = [registry.KINDS[kind].label, _("Limits")][-len(groups) :]
        return [
            (None, {"fields": ["name", "is_enabled"]}),
            *(
                (title, {"fields": group})
                for title, group in zip(titles, groups, strict=False)
            ),
        ]

    @method_decorator(sensitive_post_parameters("new_secret"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may_add = object_id is not None or self.has_add_permission(request)
        if object_id is None and may_add and request.GET.get("kind") not in FIELDS_OF:
            return render_page(
                request,
                "admin/kpis/datasource/pick_kind.html",
                {"kinds": registry.choices()},
                title=str(_("Add a data source")),
            )
        return super().changeform_view(request, object_id, form_url, extra_context)

    def bulk_faults(self, row: Any, names: Any) -> list[str]:
        found = registry.validate_source(
            {
                "kind": row.kind,
                "url": row.url,
                "header": row.header,
                "allowed_tables": row.allowed_tables,
                "is_enabled": row.is_enabled,
            }
        )
        return list(found.values())

    def clone_changes(self, request: HttpRequest) -> dict[str, Any]:
        # A copy gives nobody what they could not give to a new source.
        if request.user.has_perm(_PRIVATE):
            return {}
        return {"may_use_private_targets": False}

    @action(  # type: ignore[untyped-decorator]
        description=_("Check"),
        url_path="check",
        permissions=["change"],
        icon="verified_user",
    )
    def check_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the last check found; a POST checks anew."""
        self.demand(request, "change")
        source = cast(DataSource, self.get_object(request, unquote(object_id)))
        context: dict[str, Any] = {"opts": self.opts, "original": source}
        if request.method == "POST":
            try:
                check = check_source(source=source, now=timezone.now())
                context["advice"] = check.advice
            except UnableToRead as error:
                context["failure"] = error
        state = DataSourceState.objects.filter(source=source).first()
        if state is not None:
            context |= {
                "state": state,
                "problems": state.problem.splitlines(),
                "is_checked": is_checked(
                    source=source, state=state, now=timezone.now()
                ),
                "sample": json.dumps(state.last_sample, indent=2, ensure_ascii=False)
                if state.last_sample is not None
                else "",
            }
        return render_page(
            request,
            "admin/kpis/datasource/check.html",
            context,
            title=str(_("Check a data source")),
        )

    @admin.display(description=_("state"))
    def shown_state(self, source: DataSource) -> str:
        state = getattr(source, "state", None)
        if not source.is_enabled:
            return label(text=_("Off"), variant="default", icon="block")
        if state is not None and state.problem:
            return label(text=_("Not safe"), variant="danger", icon="lock")
        if state is not None and state.failing_since:
            return label(text=_("Failing"), variant="danger", icon="error")
        if state is None or (source.kind == "postgres" and state.checked_at is None):
            return label(text=_("Not checked"), variant="warning", icon="pending")
        return label(text=_("Works"), variant="success", icon="check_circle")

    @admin.display(description=_("last answer"), ordering="state__last_ok_at")
    def last_answer(self, source: DataSource) -> Any:
        state = getattr(source, "state", None)
        return state.last_ok_at if state is not None else None


def _kind(request: HttpRequest, obj: DataSource | None) -> str:
    kind = obj.kind if obj is not None else request.GET.get("kind", "")
    return kind if kind in FIELDS_OF else registry.MANUAL
