"""Schedules: their rotations, who is on call, what is wrong with the next two weeks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import TabularInline
from unfold.decorators import action

from incidents.admin.oncall.forms import ScheduleForm
from incidents.admin.oncall.gap_warning import GapWarningAdmin, Part
from incidents.admin.oncall.rotation import TurnsShown
from incidents.models import Rotation, Schedule
from incidents.oncall import calendar, importing, outlook, who, wording
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import ago
from t4g_portal.lib.wording import minute as said_minute

_SHOWN_FLAWS = 20


class RotationInline(TurnsShown, TabularInline):  # type: ignore[misc]
    """What a schedule is made of; each rotation is edited on its own page."""

    model = Rotation
    fields = ("link", "position", "turns", "people")
    readonly_fields = fields
    ordering = ("-position", "pk")
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rotation]:
        rows: QuerySet[Rotation] = super().get_queryset(request)
        return rows.prefetch_related("participants__contact")

    @admin.display(description=gettext_lazy("name"))
    def link(self, rotation: Rotation) -> SafeString:
        url = reverse("admin:incidents_rotation_change", args=[rotation.pk])
        return format_html(
            '<a href="{}" class="font-medium text-primary-600 dark:text-primary-500">{}</a>',
            url,
            rotation.name,
        )


@admin.register(Schedule)
class ScheduleAdmin(GapWarningAdmin):
    part = Part(
        schedules=lambda row: [] if row.pk is None else [row.pk],
        without=lambda plan, row: replace(plan, layers=(), covers=(), imported=()),
    )
    form = ScheduleForm
    inlines = (RotationInline,)
    list_display = ("name", "now_on_call", "after", "flaws", "rotation_count")
    search_fields = ("name", "slug", "description")
    ordering = ("name",)
    prepopulated_fields = {"slug": ("name",)}
    actions_detail = ("add_rotation", "import_now", "adopt")
    readonly_fields = ("next_two_weeks", "import_state")
    fieldsets = (
        (None, {"fields": ("name", "slug", "description")}),
        (
            gettext_lazy("Turns"),
            {
                "fields": (
                    "time_zone",
                    "is_continuous",
                    "handoff_notice_s",
                    "next_two_weeks",
                )
            },
        ),
        (
            gettext_lazy("Imported calendar"),
            {"fields": ("new_ical_url", "clear_ical_url", "import_state")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        # Deferred: lists and forms never hold a secret, readable or not.
        rows: QuerySet[Schedule] = super().get_queryset(request)
        return (
            rows.defer("ical_url")
            .annotate(has_ical_url=~Q(ical_url=""), rotation_count=Count("rotations"))
            .select_related("state")
        )

    @method_decorator(sensitive_post_parameters("new_ical_url"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(*args, **kwargs)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Work out for all rows of the page at once who is on call."""
        found = super().get_changelist_instance(request)
        now = timezone.now()
        rows = list(found.result_list)
        plans = who.plan_of([row.pk for row in rows], since=now)
        for row in rows:
            row.plan, row.asked_at = plans.get(row.pk), now
        found.result_list = rows
        return found

    @admin.display(description=gettext_lazy("on call now"))
    def now_on_call(self, schedule: Any) -> str:
        shift = calendar.on_call_at(schedule.plan, schedule.asked_at)
        if shift.contact_id is None:
            return _("nobody")
        return str(schedule.plan.names[shift.contact_id])

    @admin.display(description=gettext_lazy("next"))
    def after(self, schedule: Any) -> str:
        shift = calendar.next_shift(schedule.plan, schedule.asked_at)
        if shift is None or shift.contact_id is None:
            return "–"
        with timezone.override(schedule.plan.zone):
            start = said_minute(shift.start, now=schedule.asked_at)
        return f"{schedule.plan.names[shift.contact_id]}, {start}"

    @admin.display(description=gettext_lazy("next two weeks"))
    def flaws(self, schedule: Any) -> str:
        count = len(outlook.flaws(schedule.plan, schedule.asked_at))
        if not count:
            return _("covered")
        return ngettext("%(count)d problem", "%(count)d problems", count) % {
            "count": count
        }

    @admin.display(description=gettext_lazy("rotations"), ordering="rotation_count")
    def rotation_count(self, schedule: Any) -> int:
        return cast(int, schedule.rotation_count)

    @admin.display(description=gettext_lazy("next two weeks"))
    def next_two_weeks(self, schedule: Schedule) -> SafeString | str:
        if schedule._state.adding:
            return _("Save it first, then add rotations.")
        now = timezone.now()
        plan = who.plan_of([schedule.pk], since=now)[schedule.pk]
        found = outlook.flaws(plan, now)
        if not found:
            return _("Somebody is on call whenever it is needed.")
        sentences = [
            (wording.flaw(one, names=plan.names, zone=plan.zone, now=now),)
            for one in found[:_SHOWN_FLAWS]
        ]
        return format_html(
            "<ul>{}</ul>", format_html_join("", "<li>{}</li>", sentences)
        )

    @admin.display(description=gettext_lazy("last import"))
    def import_state(self, schedule: Any) -> SafeString | str:
        state = getattr(schedule, "state", None)
        if state is None or not getattr(schedule, "has_ical_url", False):
            return "–"
        parts = [_("Read %(ago)s.") % {"ago": ago(state.fetched_at)}]
        if state.error:
            parts.append(
                _("It fails: %(why)s The last copy stays in use.")
                % {"why": state.error}
            )
        if state.held_lost_count:
            parts.append(
                _("A newer one loses %(count)d coming shifts and isn't in use.")
                % {"count": state.held_lost_count}
            )
        if state.strangers:
            parts.append(
                _("Nobody here is called: %(names)s.")
                % {"names": ", ".join(state.strangers)}
            )
        return " ".join(parts)

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Add a rotation"),
        url_path="add-rotation",
        permissions=["add_rotation"],
        icon="add",
    )
    def add_rotation(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = cast(Schedule, self.get_object(request, unquote(object_id)))
        return redirect(reverse("admin:incidents_rotation_add") + f"?schedule={row.pk}")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Offer to import where there is a calendar, to adopt where one waits."""
        rows = Schedule.objects.filter(pk=object_id).exclude(ical_url="")
        left_out = set()
        if not rows.exists():
            left_out |= {"import", "adopt"}
        elif not rows.filter(state__held_lost_count__gt=0).exists():
            left_out.add("adopt")
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.path not in left_out
        ]

    def has_add_rotation_permission(
        self, request: HttpRequest, _id: Any = None
    ) -> bool:
        return request.user.has_perm("incidents.add_rotation")

    def has_import_permission(self, request: HttpRequest, _id: Any = None) -> bool:
        return bool(self.has_change_permission(request))

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Import now"),
        url_path="import",
        permissions=["import"],
        icon="sync",
    )
    def import_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        question = _(
            "The calendar is read again; the last good copy stays if it fails."
        )
        return self._import(
            request, object_id, question, _("Import now"), is_meant=False
        )

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Adopt the new calendar"),
        url_path="adopt",
        permissions=["import"],
        icon="check",
    )
    def adopt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        question = _(
            "The calendar is read again and used as it is, even if most of its shifts"
            " are gone."
        )
        return self._import(request, object_id, question, _("Adopt it"), is_meant=True)

    def _import(
        self,
        request: HttpRequest,
        object_id: str,
        question: str,
        verb: str,
        *,
        is_meant: bool,
    ) -> HttpResponse:
        row = cast(Schedule, self.get_object(request, unquote(object_id)))
        url = reverse("admin:incidents_schedule_change", args=[row.pk])
        if request.method != "POST":
            context = {
                "opts": self.opts,
                "original": row,
                "question": question,
                "verb": verb,
                "back_url": url,
            }
            return render_page(
                request, "notifications/confirm.html", context, title=verb
            )
        try:
            importing.import_one(
                schedule_id=row.pk, now=timezone.now(), is_meant=is_meant
            )
            messages.success(request, _("The calendar was read."))
        except importing.UnableToImport as error:
            messages.error(request, str(error))
        return redirect(url)
