"""The gate that a pipeline asks, and the log of its answers."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from checklists import addresses, gate
from checklists.api.base import ReasonSerializer, actor_of
from checklists.models import GateDecision
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, MomentFilter, TextFilter, WordFilter
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.commits import COMMIT


class BlockerSerializer(StrictSerializer):
    """What keeps the gate closed: an item, or that no run fits."""

    run = fields.Integer(read_only=True, allow_null=True)
    item = fields.Text(read_only=True, help_text="Its key; empty: the whole run.")
    title = fields.Text(read_only=True)
    state = fields.Text(
        read_only=True,
        help_text=(
            "Of the item: waiting, failed, stale, unknown or not_connected. Of the"
            " whole: no_run, other_commit, run or fault."
        ),
    )
    reasons = ReasonSerializer(many=True, read_only=True)
    owner = fields.Text(read_only=True)
    url = fields.Text(read_only=True, help_text="The page where it is dealt with.")


class PassedByWaiverSerializer(StrictSerializer):
    """An item that passes by a signed exception."""

    run = fields.Integer(read_only=True)
    item = fields.Text(read_only=True)
    title = fields.Text(read_only=True)
    reason = fields.Text(read_only=True)
    requested_by = fields.Text(read_only=True)
    approved_by = fields.Text(read_only=True)
    expires_at = fields.Moment(read_only=True)


class GateSerializer(StrictSerializer):
    """The answer: 200 with it is a pass, 409 with it is a block."""

    verdict = fields.Choice(read_only=True, choices=GateDecision.Verdict.choices)
    service = fields.Text(read_only=True)
    environment = fields.Text(read_only=True)
    sha = fields.Text(read_only=True)
    runs = fields.Texts(
        read_only=True,
        child=fields.Integer(),
        help_text="The open runs of exactly this commit.",
    )
    blocking = BlockerSerializer(many=True, read_only=True)
    waivers = PassedByWaiverSerializer(many=True, read_only=True)
    expires_at = fields.Moment(
        read_only=True,
        allow_null=True,
        help_text="When time alone will close an open gate. Null: closed, or never.",
    )
    decision = fields.Integer(
        read_only=True, help_text="The number under which this answer is kept."
    )


class GateResource(Resource):
    """Whether a commit may go to an environment. Anything that isn't sure blocks."""

    resource = "gates"
    serializer_class = GateSerializer
    parameters: ClassVar = {"read": ("sha",)}
    access: ClassVar = {"read": Access("gates:read", "checklists.view_checklistrun")}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "sha",
                {"type": "string", "pattern": COMMIT},
                required=True,
                description="The whole commit, in lowercase hexadecimal.",
            )
        ],
        responses={200: GateSerializer, 409: GateSerializer},
    )
    def read(self, request: Request, service: str, environment: str) -> HttpResponse:
        """Ask whether a commit may be deployed: 200 pass, 409 block."""
        decision = gate.decide(
            service_slug=service,
            environment=environment,
            sha=_sha(request),
            caller=actor_of(request),
            now=timezone.now(),
        )
        return JsonAnswer(_shown(decision), status=200 if decision.is_open else 409)


class UnslashedGate(GateResource):
    """The same without the slash, as pipelines write it; not described twice."""

    schema = None  # type: ignore[assignment]


class DecisionSerializer(StrictModelSerializer):
    """One answer of a gate, as it was kept."""

    service = fields.Text(read_only=True, source="service_slug")
    sha = fields.Text(read_only=True, source="git_sha")
    blocking = BlockerSerializer(many=True, read_only=True)

    class Meta:
        model = GateDecision
        fields = [
            "id",
            "service",
            "environment",
            "sha",
            "verdict",
            "blocking",
            "decided_at",
            "caller",
            "key_id",
        ]
        read_only_fields = fields

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        """Return a decision with the pages of what blocked."""
        row.blocking = ()
        return {**super().represent(row), "blocking": _blocking(row)}


class DecisionFilters(Filters):
    """Which decisions."""

    service = TextFilter(field_name="service_slug")
    environment = TextFilter()
    sha = TextFilter(field_name="git_sha")
    verdict = WordFilter(choices=GateDecision.Verdict.choices)
    since = MomentFilter(field_name="decided_at", lookup_expr="gte")
    until = MomentFilter(field_name="decided_at", lookup_expr="lt")


class GateDecisionResource(Resource):
    """Each answer that a gate has given, for ever."""

    resource = "gate_decisions"
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilters
    orderings: ClassVar = {"decided_at": "decided_at", "id": "pk"}
    default_ordering = "-decided_at"
    access: ClassVar = {
        "list": Access("gates:read", "checklists.view_gatedecision"),
        "retrieve": Access("gates:read", "checklists.view_gatedecision"),
    }

    def get_queryset(self) -> QuerySet[GateDecision]:
        return GateDecision.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List what gates answered, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read one answer."""
        return super().retrieve(request, id)


def _sha(request: Request) -> str:
    sha = request.query_params.get("sha", "")
    if not re.fullmatch(COMMIT, sha):
        raise QueryInvalid(
            {"sha": _("Give the commit: 7 to 64 hexadecimal digits, in lower case.")}
        )
    return sha


def _shown(decision: gate.Decision) -> dict[str, Any]:
    row, ends = decision.row, decision.expires_at
    return {
        "verdict": row.verdict,
        "service": row.service_slug,
        "environment": row.environment,
        "sha": row.git_sha,
        "runs": list(decision.run_ids),
        "blocking": _blocking(row),
        "waivers": [_waiver(one) for one in decision.waivers],
        "expires_at": fields.write_moment(ends) if ends else None,
        "decision": row.pk,
    }


def _blocking(row: GateDecision) -> list[dict[str, Any]]:
    return [{**one, "url": _url(one["run"], one["item"])} for one in row.reasons]


def _waiver(one: gate.Passed) -> dict[str, Any]:
    return {
        "run": one.run_id,
        "item": one.key,
        "title": one.title,
        "reason": one.waiver.reason,
        "requested_by": one.waiver.requested_by_name,
        "approved_by": one.waiver.approved_by_name,
        "expires_at": fields.write_moment(one.waiver.expires_at),
    }


def _url(run_id: int | None, key: str) -> str:
    if run_id is None:
        return addresses.new_run_url()
    return addresses.item_url(run_id, key) if key else addresses.run_url(run_id)
