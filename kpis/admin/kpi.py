"""KPIs with their targets. How a value is computed is not for everybody to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST
from unfold.admin import TabularInline
from unfold.decorators import action

from kpis import asking, services, validation
from kpis.kpi_forms import BackfillForm, KpiForm, TargetForm
from kpis.models import DataSourceState, Kpi, KpiRun, KpiTarget
from kpis.models.kpi import ASKED
from kpis.page_forms import ValueForm
from kpis.picking import numbers_in
from kpis.services import Tested, UnableToAct
from kpis.sources import registry
from notifications.admin.parts import label
from t4g_portal.lib.access import check
from t4g_portal.lib.admin import ManyAdmin, PortalAdmin
from t4g_portal.lib.history.reading import label_of
from t4g_portal.lib.live import live_response
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.templatetags.portal import ago

_BACKFILLS = 5
# How many lines the long fields show.
_ROWS = {"description": 2, "sql": 7}


class TargetInline(TabularInline):  # type: ignore[misc]
    model = KpiTarget
    form = TargetForm
    extra = 0
    ordering = ["month"]
    # The row says it all.
    hide_title = True


@admin.register(Kpi)
class KpiAdmin(ManyAdmin):
    form = KpiForm
    list_display = [
        "name",
        "shown_state",
        "source",
        "grain",
        "audience",
        "collected",
        "is_enabled",
    ]
    list_filter = ["audience", "source", "grain", "is_enabled"]
    search_fields = ["name", "slug", "description"]
    ordering = ["position", "name"]
    actions = ["enable", "disable", "edit_several"]
    actions_detail = ["run_now", "read_past", "enter"]
    bulk_fields = [
        "audience",
        "is_enabled",
        "interval_s",
        "lateness_s",
        "recompute_count",
        "stale_after_s",
        "overdue_after_s",
    ]
    autocomplete_fields = ["source", "service", "owner"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [TargetInline]
    change_form_after_template = "admin/kpis/kpi/_try.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("name", "slug"),
                    "description",
                    ("audience", "position"),
                    "owner",
                    "is_enabled",
                ]
            },
        ),
        (_("Value"), {"fields": [("unit", "decimals"), "direction"]}),
        (_("Period"), {"fields": [("grain", "window"), "time_zone"]}),
        (
            _("Calculation"),
            {"fields": ["source", "sql", "json_path", ("measure", "measure_target")]},
        ),
        (
            _("Collection"),
            {
                "fields": [
                    ("interval_s", "lateness_s"),
                    "recompute_count",
                    ("stale_after_s", "overdue_after_s"),
                    "service",
                ]
            },
        ),
    ]

    class Media:
        css = {"all": ["portal/trial.css", "portal/kpi-form.css"]}
        js = ["portal/trial.js", "portal/kpi-form.js"]

    # --- Who sees and changes what ------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Kpi]:
        queryset: QuerySet[Kpi] = super().get_queryset(request)
        return queryset.select_related("source", "state").defer("source__secret")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Whoever may filter by a text can guess it letter by letter.
        if lookup.partition("__")[0] in ASKED:
            return False
        return super().lookup_allowed(lookup, value, request)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in _ROWS and field is not None:
            field.widget.attrs["rows"] = _ROWS[db_field.name]
        if db_field.name == "sql" and field is not None:
            field.widget.attrs |= {"spellcheck": "false", "data-code": ""}
        return field

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if request.user.has_perm("kpis.view_sql"):
            return fieldsets
        return [
            (name, {**options, "fields": _without(options["fields"], set(ASKED))})
            for name, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if request.user.has_perm("kpis.change_sql"):
            return fields
        # Another source would be asked with the same words.
        return [*fields, *ASKED, *(["source"] if obj is not None else [])]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # The slug of a stored one stands in addresses and thresholds.
        return super().get_prepopulated_fields(request, obj) if obj is None else {}

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        check(request, "kpis.view_sql")
        answer: HttpResponse = super().history_view(request, object_id, extra_context)
        return answer

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        services.definition_saved(
            kpi=form.instance, user=_user(request), now=timezone.now()
        )

    def bulk_faults(self, row: Kpi, names: Sequence[str]) -> Iterable[str]:
        values = {name: getattr(row, name) for name in self.bulk_fields}
        for fault in validation.kpi_faults(values):
            yield f"{label_of(Kpi, fault.field)}: {fault.message}"

    # --- Lists --------------------------------------------------------------------------

    @admin.display(description=_("state"))
    def shown_state(self, kpi: Kpi) -> SafeString:
        state = getattr(kpi, "state", None)
        if not kpi.is_enabled:
            return label(text=_("Disabled"), variant="default", icon="block")
        if not kpi.source.is_enabled:
            return label(
                text=_("Source is off"), variant="default", icon="do_not_disturb"
            )
        if state is not None and state.failure_count:
            return label(text=_("Failing"), variant="danger", icon="error")
        if state is None or state.last_ok_at is None:
            return label(text=_("No value yet"), variant="default", icon="schedule")
        return label(text=_("Collected"), variant="success", icon="check")

    @admin.display(description=_("last value"), ordering="state__last_ok_at")
    def collected(self, kpi: Kpi) -> str:
        state = getattr(kpi, "state", None)
        return ago(state.last_ok_at) if state is not None else "–"

    # --- Try ----------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.try_view))
        return [path("try/", view, name="kpis_kpi_try"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        if request.user.has_perms(["kpis.change_kpi", "kpis.change_sql"]):
            address = reverse("admin:kpis_kpi_try")
            if object_id is not None:
                address += f"?{urlencode({'of': object_id})}"
            context |= {"try_url": address, "paths": _paths_of(object_id)}
        return super().changeform_view(request, object_id, form_url, context)

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for one value with what the form says; stores nothing but the run."""
        self.demand(request, "change")
        check(request, "kpis.change_sql")
        of = request.GET.get("of", "")
        stored = cast("Kpi", self.get_object(request, of)) if of else None
        is_fragment = request.headers.get("X-Requested-With") == "try"
        form = self.get_form(request, stored, change=False)(
            request.POST, instance=stored
        )
        # A name changes nothing of what is asked.
        for name in ("name", "slug"):
            form.fields.pop(name, None)
        faults: dict[str, list[str]] = {}
        tested = None
        if form.is_valid():
            values = {**form.cleaned_data, "id": stored.pk if stored else None}
            try:
                tested = services.test(
                    kpi_values=values, user=_user(request), now=timezone.now()
                )
            except UnableToAct as error:
                faults = {"": [str(error)]}
        else:
            faults = {
                "" if name == NON_FIELD_ERRORS else name: [str(one) for one in said]
                for name, said in form.errors.items()
            }
        if tested is None and is_fragment:
            return JsonResponse({"faults": faults})
        context = {
            "tested": tested,
            "said": _said(tested, form.instance) if tested else {},
            "faults": faults,
            "kpi": form.instance,
            "paths": numbers_in(tested.sample) if tested and tested.sample else [],
        }
        if is_fragment:
            return render(request, "admin/kpis/kpi/_tested.html", context)
        return render_page(
            request,
            "admin/kpis/kpi/try.html",
            context,
            title=str(_("Test")),
            status=200 if tested else 422,
        )

    # --- Acts on one --------------------------------------------------------------------

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("kpis.run_kpi")

    def has_backfill_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("kpis.backfill_kpi")

    def has_enter_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("kpis.enter_value")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        buttons: list[Any] = super().get_actions_detail(request, object_id)
        kind = Kpi.objects.filter(pk=object_id).values_list("source__kind", flat=True)
        found = kind.first() or ""
        hidden = {"run"} if found == registry.MANUAL else {"enter"}
        if not asking.can_look_back(found):
            hidden.add("backfill")
        return [one for one in buttons if one.path not in hidden]

    @action(  # type: ignore[untyped-decorator]
        description=_("Run now"),
        url_path="run",
        permissions=["run"],
        icon="play_arrow",
    )
    def run_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Collect at once, and say what came of it."""
        kpi = cast("Kpi", self.get_object(request, unquote(object_id)))
        if request.method == "POST":
            try:
                run = services.run_now(kpi=kpi, user=_user(request), now=timezone.now())
            except UnableToAct as error:
                messages.error(request, str(error))
            else:
                _say(request, run)
            return redirect("admin:kpis_kpi_run_now", kpi.pk)
        runs = kpi.runs.select_related("user").order_by("-started_at")[:10]
        return render_page(
            request,
            "admin/kpis/kpi/run.html",
            {
                "kpi": kpi,
                "runs": runs,
                "may_see_detail": request.user.has_perm("kpis.view_sql"),
            },
            title=str(_("Run now")),
        )

    @action(  # type: ignore[untyped-decorator]
        description=_("Read the past"),
        url_path="backfill",
        permissions=["backfill"],
        icon="history",
    )
    def read_past(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for past periods, see how far that is, end it."""
        kpi = cast("Kpi", self.get_object(request, unquote(object_id)))
        now = timezone.now()
        backfills = list(kpi.backfills.order_by("-pk")[:_BACKFILLS])
        active = next((one for one in backfills if one.is_active), None)
        if request.method == "POST" and "cancel" in request.POST:
            if active is None or not services.cancel_backfill(backfill=active, now=now):
                messages.warning(request, _("It had ended already."))
            return redirect("admin:kpis_kpi_read_past", kpi.pk)
        form = BackfillForm(request.POST if request.method == "POST" else None, kpi=kpi)
        if request.method == "POST" and form.is_valid():
            since, until = form.bounds()
            try:
                services.start_backfill(
                    kpi=kpi, since=since, until=until, user=_user(request), now=now
                )
            except UnableToAct as error:
                form.add_error(None, str(error))
            else:
                return redirect("admin:kpis_kpi_read_past", kpi.pk)
        context = {
            "kpi": kpi,
            "form": form,
            "backfills": backfills,
            "is_active": active is not None,
        }
        if "live" in request.GET:
            return live_response(request, "admin/kpis/kpi/_backfills.html", context)
        return render_page(
            request,
            "admin/kpis/kpi/backfill.html",
            context,
            title=str(_("Read the past")),
            status=422 if form.is_bound else 200,
        )

    @action(  # type: ignore[untyped-decorator]
        description=_("Enter a value"),
        url_path="enter",
        permissions=["enter"],
        icon="edit_note",
    )
    def enter(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take the value of a period from somebody who knows it."""
        kpi = cast("Kpi", self.get_object(request, unquote(object_id)))
        now = timezone.now()
        form = ValueForm(
            request.POST if request.method == "POST" else None, kpi=kpi, now=now
        )
        if request.method == "POST" and form.is_valid():
            try:
                services.enter_value(
                    kpi=kpi,
                    start=form.cleaned_data["at"],
                    value=form.cleaned_data["value"],
                    user=_user(request),
                    now=now,
                )
            except UnableToAct as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, _("The value is stored."))
                return redirect("admin:kpis_kpi_enter", kpi.pk)
        points = kpi.points.select_related("entered_by").order_by("-start")[:12]
        return render_page(
            request,
            "admin/kpis/kpi/enter.html",
            {"kpi": kpi, "form": form, "points": points},
            title=str(_("Enter a value")),
            status=422 if form.is_bound else 200,
        )


@admin.register(KpiTarget)
class KpiTargetAdmin(PortalAdmin):
    """Beside the KPI's own form, for people who may set targets and nothing else."""

    form = TargetForm
    list_display = ["kpi", "month", "value"]
    list_filter = ["kpi"]
    list_select_related = ["kpi"]
    search_fields = ["kpi__name", "kpi__slug"]
    ordering = ["kpi__position", "kpi__name", "-month"]
    autocomplete_fields = ["kpi"]


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 the admin asks for a login
    return request.user


def _say(request: HttpRequest, run: KpiRun) -> None:
    if run.outcome == KpiRun.Outcome.OK:
        messages.success(request, _("Read. The log below says how it went."))
    else:
        messages.warning(request, retold(run.message))


def _said(tested: Tested, kpi: Kpi) -> dict[str, str]:
    zone = ZoneInfo(kpi.time_zone)
    form = pgettext("date", "j M Y, H:i")
    value = tested.value
    return {
        "value": "" if value is None else number_format(value.normalize()),
        "start": date_format(tested.bucket.looks_from.astimezone(zone), form),
        "end": date_format(tested.bucket.end.astimezone(zone), form),
        "took": number_format(round(tested.took_ms)),
    }


def _paths_of(object_id: str | None) -> list[tuple[str, Any]]:
    """Return the numbers of the last JSON that the source of a stored KPI answered."""
    if object_id is None or not object_id.isdecimal():
        return []
    sample = (
        DataSourceState.objects.filter(source__kpis=int(object_id), source__kind="http")
        .values_list("last_sample", flat=True)
        .first()
    )
    return numbers_in(sample) if sample is not None else []


def _without(fields: Any, hidden: set[str]) -> list[Any]:
    kept = []
    for one in fields:
        if isinstance(one, tuple):
            left = tuple(name for name in one if name not in hidden)
            kept += [left] if left else []
        elif one not in hidden:
            kept.append(one)
    return kept
