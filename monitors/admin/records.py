"""What the engine wrote, and the two small tables beside it that people edit."""

from __future__ import annotations

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from monitors.admin.look_only import OfMonitorAdmin
from monitors.models import (
    ControlTarget,
    HeartbeatPing,
    LocationState,
    ResultDetail,
    Series,
    StatusInterval,
    ThresholdState,
)
from monitors.thresholds.sentences import say_series, say_value
from t4g_portal.lib.admin import LookOnlyAdmin, ManyAdmin
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.templatetags.portal import ago, duration


@admin.register(ControlTarget)
class ControlTargetAdmin(ManyAdmin):
    """What tells us that our own network works."""

    list_display = ["host", "port", "is_enabled"]
    search_fields = ["host"]
    list_filter = ["is_enabled"]
    ordering = ["host", "port"]
    actions = ["enable", "disable"]


@admin.register(Series)
class SeriesAdmin(LookOnlyAdmin):
    list_display = ["name", "shown_labels", "last", "last_seen", "source"]
    list_filter = ["source"]
    search_fields = ["name", "labels_key", "source"]
    ordering = ["name", "labels_key"]

    @admin.display(description=_("labels"), ordering="labels_key")
    def shown_labels(self, series: Series) -> str:
        return series.labels_key.replace(",", ", ")

    @admin.display(description=_("last value"), ordering="last_value")
    def last(self, series: Series) -> str:
        if series.last_value is None:
            return "–"
        return f"{series.last_value:g}\u00a0{series.unit}".strip()

    @admin.display(description=_("last sample"), ordering="last_at")
    def last_seen(self, series: Series) -> str:
        return ago(series.last_at)


@admin.register(StatusInterval)
class StatusIntervalAdmin(OfMonitorAdmin):
    list_display = ["monitor", "state", "started_at", "ended_at", "length", "words"]
    list_filter = ["status", "started_at", "monitor__service"]
    search_fields = ["monitor__name", "message"]
    ordering = ["-pk"]

    @admin.display(description=_("state"), ordering="status")
    def state(self, interval: StatusInterval) -> SafeString:
        return render_to_string("_status.html", {"status": interval.status})

    @admin.display(description=_("message"))
    def words(self, interval: StatusInterval) -> str:
        return retold(interval.message)

    @admin.display(description=_("length"))
    def length(self, interval: StatusInterval) -> str:
        if interval.ended_at is None:
            return str(_("so far"))
        return duration(interval.ended_at - interval.started_at)


@admin.register(ResultDetail)
class ResultDetailAdmin(OfMonitorAdmin):
    list_display = ["at", "monitor", "words", "assertion"]
    list_filter = ["at", "monitor__service"]
    search_fields = ["monitor__name", "message", "failed_assertion"]
    ordering = ["-pk"]

    @admin.display(description=_("message"))
    def words(self, detail: ResultDetail) -> str:
        return retold(detail.message)

    @admin.display(description=_("failed assertion"))
    def assertion(self, detail: ResultDetail) -> str:
        return retold(detail.failed_assertion)


@admin.register(ThresholdState)
class ThresholdStateAdmin(OfMonitorAdmin):
    list_display = ["threshold", "subject", "level", "shown_value", "since_ago"]
    list_filter = ["level", "threshold"]
    list_select_related = ["threshold", "series"]
    search_fields = ["threshold__name", "monitor__name", "series__name"]
    ordering = ["level", "-since"]

    @admin.display(description=_("on"))
    def subject(self, state: ThresholdState) -> str:
        if state.monitor is not None:
            return state.monitor.name
        if state.series is not None:
            return say_series(state.series.name, state.series.labels)
        return "–"

    @admin.display(description=_("value"), ordering="value")
    def shown_value(self, state: ThresholdState) -> str:
        if state.value is None:
            return "–"
        return say_value(state.threshold.measure, state.value)

    @admin.display(description=_("since"), ordering="since")
    def since_ago(self, state: ThresholdState) -> str:
        return ago(state.since)


@admin.register(LocationState)
class LocationStateAdmin(LookOnlyAdmin):
    list_display = ["name", "is_blind", "changed", "checked"]

    @admin.display(description=_("since"), ordering="changed_at")
    def changed(self, location: LocationState) -> str:
        return ago(location.changed_at)

    @admin.display(description=_("last looked"), ordering="checked_at")
    def checked(self, location: LocationState) -> str:
        return ago(location.checked_at)


@admin.register(HeartbeatPing)
class HeartbeatPingAdmin(OfMonitorAdmin):
    list_display = ["at", "monitor", "kind", "exit_code", "beginning"]
    list_filter = ["kind", "at", "monitor__service"]
    search_fields = ["monitor__name", "body"]
    ordering = ["-pk"]

    @admin.display(description=_("body"))
    def beginning(self, ping: HeartbeatPing) -> str:
        return ping.body[:80]
