"""Series: measurements over time, read and recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from monitors import series
from monitors.models import Series
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, TextFilter
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.models import ApiKey

_READ = Access("series:read", "monitors.view_series")
MAX_SAMPLES = 1000
MAX_STEP_S = 31 * 86_400
_USUAL_REACH = timedelta(days=1)


class SeriesSerializer(StrictModelSerializer):
    """One measurement with one set of labels."""

    labels = fields.Mapping(read_only=True)

    class Meta:
        model = Series
        fields = [
            "id",
            "name",
            "labels",
            "unit",
            "source",
            "interval_s",
            "created_at",
            "last_at",
            "last_value",
        ]
        read_only_fields = fields


class NewSampleSerializer(StrictSerializer):
    """One value. A series comes into being with its first one."""

    name = fields.Text(
        max_length=series.MAX_NAME,
        validators=[RegexValidator(r"^[a-zA-Z_][a-zA-Z0-9_.:/-]*\Z")],
    )
    value = fields.Number()
    at = fields.Moment(required=False, help_text="Left out: now.")
    labels = fields.Mapping(required=False)
    unit = fields.Text(max_length=series.MAX_UNIT, required=False, allow_blank=True)
    interval_s = fields.Integer(
        min_value=0,
        max_value=366 * 86_400,
        required=False,
        help_text="How often a value is promised; 0: no promise.",
    )


class NewSamplesSerializer(StrictSerializer):
    """Some values, of any series."""

    samples = NewSampleSerializer(  # type: ignore[call-arg]
        many=True, min_length=1, max_length=MAX_SAMPLES
    )


class RecordedSerializer(StrictSerializer):
    """What became of the samples. One that was recorded before is neither."""

    stored = fields.Integer(read_only=True, help_text="New in the database.")
    refused = fields.Texts(
        read_only=True, child=fields.Text(), help_text="A reason for each refused one."
    )


class PointSerializer(StrictSerializer):
    """One value at a time."""

    at = fields.Moment(read_only=True)
    value = fields.Number(read_only=True)


class SamplesSerializer(StrictSerializer):
    """The values of a stretch of time, in its order."""

    items = PointSerializer(many=True, read_only=True)
    is_cut = fields.Flag(
        read_only=True,
        help_text=f"There are more than {series.MAX_POINTS}. Ask for less, or a step.",
    )


class SeriesFilters(Filters):
    """Which series."""

    name = TextFilter()
    source = TextFilter()
    label = TextFilter(method="with_label", label="As key=value")

    def with_label(
        self, queryset: QuerySet[Series], name: str, value: str
    ) -> QuerySet[Series]:
        """Leave those that have the label."""
        key, _sign, wanted = value.partition("=")
        return queryset.filter(labels__contains={key: wanted})


class SeriesResource(Resource):
    """Named measurements."""

    resource = "series"
    serializer_class = SeriesSerializer
    filterset_class = SeriesFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    parameters: ClassVar = {"samples": ("start", "end", "step_s")}
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "samples": _READ,
        "record": Access("series:write", "monitors.add_series"),
    }

    def get_queryset(self) -> QuerySet[Series]:
        return Series.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List series."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a series with its last value."""
        return super().retrieve(request, id)

    @extend_schema(
        responses=SamplesSerializer,
        parameters=[
            OpenApiParameter("start", OpenApiTypes.DATETIME, description="A day ago."),
            OpenApiParameter("end", OpenApiTypes.DATETIME, description="Now."),
            OpenApiParameter(
                "step_s",
                {"type": "integer", "minimum": 0, "maximum": MAX_STEP_S},
                description="Averages of steps of so many seconds; 0: every value.",
            ),
        ],
    )
    def samples(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read the samples of a series in [start, end)."""
        row = self.one(id)
        asked = request.query_params
        now = timezone.now()
        end = _moment("end", asked.get("end"), now)
        start = _moment("start", asked.get("start"), end - _USUAL_REACH)
        found = series.samples_between(
            series_id=row.pk, start=start, end=end, step_s=_step(asked.get("step_s"))
        )
        return JsonAnswer(
            {
                "items": [PointSerializer.represent(point) for point in found],
                "is_cut": len(found) >= series.MAX_POINTS,
            }
        )

    @extend_schema(request=NewSamplesSerializer, responses=RecordedSerializer)
    def record(self, request: Request) -> HttpResponse:
        """Record samples of any series. The same ones again change nothing."""
        serializer = NewSamplesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        now = timezone.now()
        source = _source(request)
        recorded = series.record_samples(
            samples=[
                series.NewSample(**{"at": now, "source": source, **sample})
                for sample in serializer.validated_data["samples"]
            ],
            now=now,
        )
        return JsonAnswer({"stored": recorded.stored, "refused": recorded.refused})


def _source(request: Request) -> str:
    key = request.auth
    if isinstance(key, ApiKey):
        return f"api:{key.key_id}"
    return f"api:user:{request.user.pk}"


def _moment(name: str, text: str | None, usual: datetime) -> datetime:
    if text is None:
        return usual
    try:
        return fields.read_moment(text)
    except ValueError as error:
        raise QueryInvalid(
            {name: _("Write a time with its offset, such as 2026-03-02T09:00:00Z.")}
        ) from error


def _step(text: str | None) -> int:
    if text is None:
        return 0
    if text.isascii() and text.isdecimal() and len(text) < 8:
        step_s = int(text)
        if step_s <= MAX_STEP_S:
            return step_s
    raise QueryInvalid(
        {"step_s": _("Give a number from 0 to %(most)d.") % {"most": MAX_STEP_S}}
    )
