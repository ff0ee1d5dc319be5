"""KPIs: their definition, their values, and collecting them."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from incidents.models import Service
from kpis import editing, services
from kpis.api.runs import KpiRunSerializer
from kpis.models import DataSource, Kpi, KpiPoint, KpiState, KpiTarget
from kpis.models.kpi import (
    ASKED,
    MAX_INTERVAL_S,
    MAX_LATENESS_S,
    MAX_RECOMPUTE_COUNT,
    MAX_WINDOW,
    MIN_INTERVAL_S,
)
from kpis.reading import VALUE_DECIMALS
from kpis.services import UnableToAct
from notifications.models import Contact
from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import (
    Filters,
    FlagFilter,
    IdFilter,
    MomentFilter,
    TextFilter,
    WordFilter,
)
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.retelling import retold

_READ = Access("kpis:read", "kpis.view_kpi")
_MAX_TARGETS = 600
_HIDDEN = "Null for whoever may not see it; null sent changes nothing."


class KpiTargetSerializer(StrictSerializer):
    """What the value should reach from a month on, until a later target."""

    month = fields.Day(help_text="The first day of a month.")
    value = fields.Number()

    @classmethod
    def represent(cls, row: KpiTarget) -> dict[str, Any]:
        """Return a target with its value as a number of JSON."""
        return {"month": row.month.isoformat(), "value": float(row.value)}


class KpiStateSerializer(StrictSerializer):
    """How the collection stands."""

    next_run_at = fields.Moment(read_only=True, allow_null=True)
    last_ok_at = fields.Moment(
        read_only=True, allow_null=True, help_text="The last time a value was read."
    )
    failure_count = fields.Integer(read_only=True, help_text="In a row.")
    failing_since = fields.Moment(read_only=True, allow_null=True)
    reason = fields.Text(read_only=True, help_text="Empty when all is well.")
    message = fields.Text(read_only=True)


class KpiSerializer(StrictModelSerializer):
    """A figure: what it means, how it is read, and how that stands."""

    source = fields.Ids(  # type: ignore[assignment]
        queryset=DataSource.objects.defer("secret")
    )
    service = fields.Ids(
        queryset=Service.objects.all(), required=False, allow_null=True
    )
    owner = fields.Ids(queryset=Contact.objects.all(), required=False, allow_null=True)
    sql = fields.Text(
        required=False, allow_blank=True, allow_null=True, help_text=_HIDDEN
    )
    json_path = fields.Text(
        required=False,
        allow_blank=True,
        allow_null=True,
        max_length=500,
        help_text=_HIDDEN,
    )
    measure = fields.Text(
        required=False,
        allow_blank=True,
        allow_null=True,
        max_length=30,
        help_text=_HIDDEN,
    )
    measure_target = fields.Text(
        required=False,
        allow_blank=True,
        allow_null=True,
        max_length=200,
        help_text=_HIDDEN,
    )
    targets = KpiTargetSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=_MAX_TARGETS
    )
    state = serializers.SerializerMethodField()

    class Meta:
        model = Kpi
        fields = [
            "id",
            "slug",
            "name",
            "description",
            "source",
            "service",
            "owner",
            "audience",
            "position",
            "is_enabled",
            "unit",
            "decimals",
            "direction",
            "grain",
            "window",
            "time_zone",
            "sql",
            "json_path",
            "measure",
            "measure_target",
            "interval_s",
            "lateness_s",
            "recompute_count",
            "stale_after_s",
            "overdue_after_s",
            "targets",
            "state",
        ]
        extra_kwargs = {
            "decimals": {"min_value": 0, "max_value": VALUE_DECIMALS},
            "window": {"min_value": 1, "max_value": MAX_WINDOW},
            "interval_s": {"min_value": MIN_INTERVAL_S, "max_value": MAX_INTERVAL_S},
            "lateness_s": {"min_value": 0, "max_value": MAX_LATENESS_S},
            "recompute_count": {"min_value": 0, "max_value": MAX_RECOMPUTE_COUNT},
            "stale_after_s": {"min_value": 1},
            "overdue_after_s": {"min_value": 1},
        }

    @extend_schema_field(KpiStateSerializer)
    def get_state(self, kpi: Kpi) -> dict[str, Any]:
        """Return how the collection stands; one that was never due has no state."""
        state = getattr(kpi, "state", None) or KpiState(kpi=kpi)
        return {
            "next_run_at": _moment(state.next_run_at),
            "last_ok_at": _moment(state.last_ok_at),
            "failure_count": state.failure_count,
            "failing_since": _moment(state.failing_since),
            "reason": state.last_reason,
            "message": retold(state.last_message),
        }

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a KPI, without how it is computed for whoever may not see that."""
        shown = super().represent(row)
        if getattr(row, "hides_sql", False):
            shown |= dict.fromkeys(ASKED)
        return shown


class KpiFilters(Filters):
    """Which KPIs."""

    slug = TextFilter()
    source = IdFilter(field_name="source_id")
    audience = WordFilter(choices=Kpi.Audience.choices)
    is_enabled = FlagFilter()


class KpiBackfillSerializer(StrictSerializer):
    """The stretch of the past to read."""

    since = fields.Moment()
    until = fields.Moment()


class KpiBackfillStartedSerializer(StrictSerializer):
    """A backfill that was asked for."""

    id = fields.Integer(read_only=True)
    total_count = fields.Integer(read_only=True, help_text="Periods to read.")


class KpiResource(Resource):
    """Figures that managers follow."""

    resource = "kpis"
    serializer_class = KpiSerializer
    filterset_class = KpiFilters
    orderings: ClassVar = {"position": "position", "name": "name", "id": "pk"}
    is_versioned = True
    conflicts = (UnableToAct,)
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("kpis:write", "kpis.add_kpi"),
        "partial_update": Access("kpis:write", "kpis.change_kpi"),
        "destroy": Access("kpis:write", "kpis.delete_kpi"),
        "run": Access("kpis:write", "kpis.run_kpi"),
        "backfill": Access("kpis:write", "kpis.backfill_kpi"),
    }

    def get_queryset(self) -> QuerySet[Kpi]:
        return (
            Kpi.objects.select_related("state", "source")
            .defer("source__secret")
            .prefetch_related(
                Prefetch("targets", queryset=KpiTarget.objects.order_by("month"))
            )
        )

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        for row in rows or ():
            row.hides_sql = self._hides_sql()
        return rows

    def one(self, number: int) -> Kpi:
        row: Kpi = super().one(number)
        row.hides_sql = self._hides_sql()  # type: ignore[attr-defined]
        return row

    def list(self, request: Request) -> HttpResponse:
        """List KPIs."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a KPI: its definition and how its collection stands."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a KPI. It is collected at once."""
        values, targets = self._split(self.sent())
        kpi = editing.create_kpi(
            values=values, targets=targets, user=self._user(), now=timezone.now()
        )
        return self.created(kpi.pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a KPI: what the body names. Targets are replaced as a whole."""
        values, targets = self._split(self.sent_for(self.one(id)), is_change=True)
        editing.change_kpi(
            kpi_id=id,
            values=values,
            targets=targets,
            user=self._user(),
            now=timezone.now(),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a KPI with its values."""
        editing.delete_kpi(kpi_id=id, expected=self.expected())
        return HttpResponse(status=204)

    @extend_schema(request=None, responses=KpiRunSerializer)
    def run(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Collect a KPI at once and wait; a failure of its source is the answer."""
        run = services.run_now(kpi=self.one(id), user=self._user(), now=timezone.now())
        return JsonAnswer(KpiRunSerializer.represent(run))

    @extend_schema(
        request=KpiBackfillSerializer, responses={202: KpiBackfillStartedSerializer}
    )
    def backfill(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Ask for past periods; they are read one after the other."""
        sent = KpiBackfillSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        started = services.start_backfill(
            kpi=self.one(id),
            since=sent.validated_data["since"],
            until=sent.validated_data["until"],
            user=self._user(),
            now=timezone.now(),
        )
        return JsonAnswer(KpiBackfillStartedSerializer.represent(started), status=202)

    def _split(
        self, sent: dict[str, Any], *, is_change: bool = False
    ) -> tuple[dict[str, Any], Any]:
        """Return columns and targets; raises PermissionMissing for SQL of others."""
        targets = sent.pop("targets", None)
        values = {
            name: value
            for name, value in sent.items()
            if not (name in ASKED and value is None)
        }
        guarded = {*ASKED, *(["source"] if is_change else [])}
        if guarded & values.keys() and not self._user().has_perm("kpis.change_sql"):
            raise PermissionMissing("kpis.change_sql")
        return values, None if targets is None else editing.targets_of(targets)

    def _hides_sql(self) -> bool:
        return not self._user().has_perm("kpis.view_sql")

    def _user(self) -> User:
        return cast(User, self.request.user)


class KpiPointSerializer(StrictSerializer):
    """The value of one period [start, end). A period that is missing is unknown."""

    start = fields.Moment(help_text="Sent: any moment of the period.")
    end = fields.Moment(read_only=True)
    value = fields.Number()
    is_complete = fields.Flag(read_only=True)
    version = fields.Integer(
        read_only=True, help_text="Another one: computed in another way."
    )
    computed_at = fields.Moment(read_only=True)

    @classmethod
    def represent(cls, row: KpiPoint) -> dict[str, Any]:
        """Return a point with the number of its version."""
        return {
            "start": fields.write_moment(row.start),
            "end": fields.write_moment(row.end),
            "value": float(row.value),
            "is_complete": row.is_complete,
            "version": row.version.number,
            "computed_at": fields.write_moment(row.computed_at),
        }


class PointFilters(Filters):
    """Which values."""

    since = MomentFilter(field_name="start", lookup_expr="gte")
    until = MomentFilter(field_name="start", lookup_expr="lt")
    is_complete = FlagFilter()


class PointResource(Resource):
    """The values of one KPI."""

    resource = "kpi_points"
    serializer_class = KpiPointSerializer
    filterset_class = PointFilters
    orderings: ClassVar = {"start": "start"}
    default_ordering = "-start"
    conflicts = (UnableToAct,)
    access: ClassVar = {
        "list": _READ,
        "create": Access("kpis:write", "kpis.enter_value"),
    }

    def get_queryset(self) -> QuerySet[KpiPoint]:
        return KpiPoint.objects.filter(kpi_id=self.kwargs.get("id", 0)).select_related(
            "version"
        )

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the values of a KPI, the newest first."""
        if not Kpi.objects.filter(pk=id).exists():
            raise Kpi.DoesNotExist
        return super().list(request)

    def create(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Enter the value of a period, for a KPI that nobody collects."""
        kpi = Kpi.objects.select_related("source").defer("source__secret").get(pk=id)
        sent = KpiPointSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        point = services.enter_value(
            kpi=kpi,
            start=sent.validated_data["start"],
            value=sent.validated_data["value"],
            user=cast(User, request.user),
            now=timezone.now(),
        )
        return JsonAnswer(KpiPointSerializer.represent(point), status=201)


def _moment(moment: Any) -> str | None:
    return None if moment is None else fields.write_moment(moment)
