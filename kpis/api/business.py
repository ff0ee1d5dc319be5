"""`GET /api/metrics/business`: the guide's endpoint, with the portal's own values."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from kpis.business import business
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource

_UNKNOWN = "Null is unknown, which is not zero."


class BusinessSerializer(StrictSerializer):
    """The guide's four KPIs under the guide's names."""

    active_users_7d = fields.Number(read_only=True, allow_null=True, help_text=_UNKNOWN)
    lightning_transactions_24h = fields.Number(
        read_only=True, allow_null=True, help_text=_UNKNOWN
    )
    mentoring_sessions_7d = fields.Number(
        read_only=True, allow_null=True, help_text=_UNKNOWN
    )
    tokens_distributed_24h = fields.Number(
        read_only=True, allow_null=True, help_text=_UNKNOWN
    )
    generated_at = fields.Moment(
        read_only=True, help_text="When the oldest of the values was computed."
    )


class BusinessResource(Resource):
    """Read only: what the backend's endpoint would say."""

    resource = "metrics_business"
    serializer_class = BusinessSerializer
    access: ClassVar = {"read": Access("kpis:read", "kpis.view_kpi")}

    @extend_schema(responses=BusinessSerializer)
    def read(self, request: Request) -> HttpResponse:
        """Read the four business KPIs in the form of the backend's endpoint."""
        found = business(now=timezone.now())
        return JsonAnswer(
            {
                **{key: _number(value) for key, value in found.values.items()},
                # As the endpoint writes it, to the second.
                "generated_at": fields.write_moment(
                    found.generated_at.replace(microsecond=0)
                ),
            }
        )


def _number(value: Decimal | None) -> int | float | None:
    """A count stays one: 342, not 342.0."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
