"""Monitors: configured, paused, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from incidents.models import Service
from monitors import editing
from monitors.api.probing import ProbedSerializer
from monitors.api.records import UptimeSerializer, period_of
from monitors.models import Assertion, Monitor, MonitorState
from monitors.probe_now import AskedTooSoon, UnableToProbe, probe_now
from monitors.probes import assertions, registry
from monitors.probes.base import AssertionSpec
from monitors.queries import ledger
from monitors.queries.shown import shown_since, shown_status
from monitors.status import Status
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import (
    Filters,
    FlagFilter,
    IdFilter,
    TextFilter,
    WordFilter,
)
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.problems import Refused
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.retelling import retold

_READ = Access("monitors:read", "monitors.view_monitor")
_CHANGE = Access("monitors:write", "monitors.change_monitor")
_MAX_ASSERTIONS = 50
# What an answer says of the state; the rest of its row isn't read.
_SHOWN = {
    "monitor",
    "status",
    "since",
    "message",
    "is_flapping",
    "last_result_at",
    "last_latency_ms",
    "certificate_expires_at",
    "configuration_error",
    "fresh_until",
}


class AssertionSerializer(StrictSerializer):
    """One expectation on what the probe sees."""

    subject = fields.Choice(choices=list(assertions.SUBJECTS))
    operator = fields.Choice(choices=list(assertions.OPERATORS))
    argument = fields.Text(max_length=200, allow_blank=True, default="")
    expected = fields.Text(max_length=500, allow_blank=True, default="")

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return what the query has made already."""
        return dict(row)


class MonitorStateSerializer(StrictSerializer):
    """How a monitor is now. The engine writes it."""

    status = fields.Choice(choices=Status.choices, read_only=True)
    since = fields.Moment(read_only=True, allow_null=True)
    message = fields.Text(read_only=True)
    is_flapping = fields.Flag(read_only=True)
    last_result_at = fields.Moment(read_only=True, allow_null=True)
    last_latency_ms = fields.Number(read_only=True, allow_null=True)
    certificate_expires_at = fields.Moment(read_only=True, allow_null=True)
    configuration_error = fields.Text(
        read_only=True, help_text="Why it can't be probed at all; empty when it can."
    )


@extend_schema_field({"type": "object", "additionalProperties": True})
class OptionsField(serializers.DictField):
    """The kind's own settings; `monitors.probes.registry` checks them."""


class MonitorSerializer(StrictModelSerializer):
    """A configured watch on a target, and how it is."""

    service = fields.Ids(queryset=Service.objects.all())
    options = OptionsField(
        required=False, help_text="The kind's own settings; those left out are usual."
    )
    tags = fields.Texts(required=False, max_length=50)
    secret = fields.Text(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="Password or token. Never shown again; empty clears it.",
    )
    has_secret = fields.Flag(read_only=True)
    assertions = AssertionSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=_MAX_ASSERTIONS, source="expectations"
    )
    state = serializers.SerializerMethodField()

    class Meta:
        model = Monitor
        fields = [
            "id",
            "name",
            "service",
            "kind",
            "target",
            "options",
            "secret",
            "has_secret",
            "interval_s",
            "timeout_s",
            "retry_interval_s",
            "failures_to_down",
            "successes_to_up",
            "tags",
            "runbook_url",
            "may_use_private_targets",
            "is_enabled",
            "assertions",
            "created_at",
            "state",
        ]
        extra_kwargs = {
            "interval_s": {"min_value": 1, "max_value": 366 * 86_400},
            "timeout_s": {"min_value": 0.1, "max_value": 120},
            "retry_interval_s": {"min_value": 1, "max_value": 366 * 86_400},
            "failures_to_down": {"min_value": 1, "max_value": 1000},
            "successes_to_up": {"min_value": 1, "max_value": 1000},
        }

    @extend_schema_field(MonitorStateSerializer)
    def get_state(self, monitor: Monitor) -> dict[str, Any]:
        """Return the state as pages show it."""
        return state_of(getattr(monitor, "state", None))


def state_of(state: MonitorState | None) -> dict[str, Any]:
    """Return a state; a monitor that was never probed is pending."""
    now = timezone.now()
    shown = shown_status(state, now)
    since = shown_since(state, now)
    if state is None:
        return {
            "status": str(shown),
            "since": None,
            "message": "",
            "is_flapping": False,
            "last_result_at": None,
            "last_latency_ms": None,
            "certificate_expires_at": None,
            "configuration_error": "",
        }
    return {
        "status": str(shown),
        "since": _moment(since),
        # Words of a row that nobody vouches for say nothing about now.
        "message": retold(state.message) if shown == state.status else "",
        "is_flapping": state.is_flapping,
        "last_result_at": _moment(state.last_result_at),
        "last_latency_ms": state.last_latency_ms,
        "certificate_expires_at": _moment(state.certificate_expires_at),
        "configuration_error": retold(state.configuration_error),
    }


def _moment(moment: Any) -> str | None:
    return None if moment is None else fields.write_moment(moment)


class PingAddressSerializer(StrictSerializer):
    """Where a job says that it is alive."""

    url = fields.Text(
        read_only=True, allow_null=True, help_text="Null: it is no heartbeat."
    )


class MonitorFilters(Filters):
    """Which monitors."""

    service = IdFilter(field_name="service_id")
    kind = WordFilter(choices=registry.choices)
    tag = TextFilter(method="with_tag")
    is_enabled = FlagFilter()
    name = TextFilter(lookup_expr="icontains", label="Part of the name")

    def with_tag(
        self, queryset: QuerySet[Monitor], name: str, value: str
    ) -> QuerySet[Monitor]:
        """Leave those that have the tag."""
        return queryset.filter(tags__contains=[value])


class MonitorResource(Resource):
    """Configured watches on targets."""

    resource = "monitors"
    serializer_class = MonitorSerializer
    filterset_class = MonitorFilters
    orderings: ClassVar = {"name": "name", "created_at": "created_at", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("monitors:write", "monitors.add_monitor"),
        "partial_update": _CHANGE,
        "destroy": Access("monitors:write", "monitors.delete_monitor"),
        "pause": _CHANGE,
        "resume": _CHANGE,
        "probe": Access("monitors:write", "monitors.probe_now"),
        "uptime": _READ,
        "ping_address": _CHANGE,
    }
    conflicts = (UnableToProbe,)

    def get_queryset(self) -> QuerySet[Monitor]:
        return _shown().all()

    def list(self, request: Request) -> HttpResponse:
        """List monitors with how they are."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a monitor with how it is."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a monitor."""
        values = self.sent()
        specs = _specs(values.pop("expectations", []))
        monitor = editing.create_monitor(
            values=values,
            expectations=specs,
            may_allow_private=self._may_allow_private(),
        )
        return self.created(monitor.pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a monitor: what the body names. Assertions are replaced as a whole."""
        values = self.sent_for(self.one(id))
        given = values.pop("expectations", None)
        editing.change_monitor(
            monitor_id=id,
            values=values,
            expectations=None if given is None else _specs(given),
            may_allow_private=self._may_allow_private(),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a monitor with its history."""
        editing.delete_monitor(monitor_id=id, expected=self.expected())
        return HttpResponse(status=204)

    @extend_schema(request=None)
    def pause(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Pause a monitor: its time counts nowhere. Twice is the same as once."""
        editing.set_enabled(monitor_id=id, is_enabled=False)
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def resume(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Resume a monitor. Twice is the same as once."""
        editing.set_enabled(monitor_id=id, is_enabled=True)
        return self.answer(self.one(id))

    @extend_schema(request=None, responses=ProbedSerializer)
    def probe(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Probe a monitor at once, and wait for what is seen. At most every 5 s."""
        try:
            probed = probe_now(monitor_id=id)
        except AskedTooSoon as error:
            raise Refused(
                status=429, slug="too-soon", detail=str(error), wait_s=error.wait_s
            ) from error
        return JsonAnswer(ProbedSerializer.represent(probed))

    @extend_schema(responses=UptimeSerializer)
    def uptime(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read the uptime of a monitor over 24 hours to 90 days."""
        monitor = self.one(id)
        now = timezone.now()
        found = ledger.uptimes(monitor_ids=[monitor.pk], now=now)[monitor.pk]
        return JsonAnswer(
            {
                "until": fields.write_moment(now),
                "periods": [period_of(name, one) for name, one in found.items()],
            }
        )

    @extend_schema(responses=PingAddressSerializer)
    def ping_address(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read where a heartbeat's job calls. Whoever knows it can speak for the job."""
        monitor = self.one(id)
        address = (
            settings.PORTAL_URL + reverse("monitors:ping", args=[monitor.ping_key])
            if monitor.is_heartbeat
            else None
        )
        return JsonAnswer({"url": address})

    def _may_allow_private(self) -> bool:
        return bool(self.request.user.has_perm("monitors.use_private_targets"))


@cache
def _shown() -> QuerySet[Monitor]:
    """Return what answers are made of; made once, since wording it takes its time."""
    expectations = (
        Assertion.objects.filter(monitor=OuterRef("pk"))
        .order_by("position", "pk")
        .values(
            json=JSONObject(
                subject="subject",
                operator="operator",
                argument="argument",
                expected="expected",
            )
        )
    )
    unshown = {field.name for field in MonitorState._meta.concrete_fields} - _SHOWN
    return (
        Monitor.objects.defer("secret", *(f"state__{name}" for name in unshown))
        .select_related("state")
        .annotate(has_secret=~Q(secret=""), expectations=ArraySubquery(expectations))
    )


def _specs(given: Sequence[dict[str, str]]) -> list[AssertionSpec]:
    return [AssertionSpec(**one) for one in given]
