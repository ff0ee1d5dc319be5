"""Who would be told of an incident, for programs: the very answer of the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from incidents import simulator
from incidents.escalation.expanding import Resort, Target, Trouble
from incidents.escalation.simulating import Moment
from incidents.models import EscalationPolicy, Service
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import IdField, MomentField
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority

MIN_HORIZON_S = 60
MAX_HORIZON_S = int(simulator.MAX_HORIZON.total_seconds())
_HORIZON_S = int(simulator.HORIZON.total_seconds())
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}


class WhySerializer(StrictSerializer):
    """For what reason a message goes where it goes."""

    target = fields.Choice(read_only=True, choices=[*Target])
    name = fields.Text(
        read_only=True, help_text="Of the channel, schedule, team or person."
    )
    detail = fields.Text(
        read_only=True, help_text="In words, such as whom somebody stands in for."
    )


class DeliverySerializer(StrictSerializer):
    """One message to one channel, or to one address of a person."""

    name = fields.Text(read_only=True, help_text="Of the channel or the person.")
    method = fields.Text(
        read_only=True, help_text="Such as `sms`; empty: the channel's own."
    )
    channel = fields.Integer(read_only=True, allow_null=True, source="channel_id")
    contact = fields.Integer(read_only=True, allow_null=True, source="contact_id")
    not_before = fields.Moment(read_only=True)
    why = WhySerializer(read_only=True)


class MissSerializer(StrictSerializer):
    """Something that a step names and that reaches nobody."""

    target = fields.Choice(read_only=True, choices=[*Target])
    name = fields.Text(read_only=True)
    trouble = fields.Choice(read_only=True, choices=[*Trouble])
    via = fields.Text(read_only=True, help_text="Whose turn it was.")


class MomentSerializer(StrictSerializer):
    """All that leaves at one moment."""

    at = fields.Moment(read_only=True)
    steps = serializers.ListField(
        read_only=True, child=fields.Integer(), help_text="Counted from 1."
    )
    deliveries = DeliverySerializer(read_only=True, many=True)
    misses = MissSerializer(read_only=True, many=True)
    resort = fields.Choice(
        read_only=True,
        allow_null=True,
        choices=[*Resort],
        help_text="Who is told in place of a step that reaches nobody.",
    )
    has_mention = fields.Flag(read_only=True)


class SimulationSerializer(StrictSerializer):
    """What would happen if nobody acknowledged."""

    at = fields.Moment(read_only=True)
    until = fields.Moment(read_only=True)
    policy_name = fields.Text(read_only=True)
    is_digest = fields.Flag(read_only=True, help_text="Nobody is told at once.")
    response_due_at = fields.Moment(read_only=True)
    is_cut = fields.Flag(read_only=True, help_text="More would follow than is told.")
    moments = MomentSerializer(read_only=True, many=True)


class _Asked(forms.Form):
    """The parameters, as strict as the filters of lists."""

    service = IdField(
        error_messages={"required": gettext_lazy("Give the number of a service.")}
    )
    priority = forms.ChoiceField(
        choices=Priority.choices,
        error_messages={"required": gettext_lazy("Give a priority.")},
    )
    at = MomentField(required=False)
    policy = IdField(required=False)
    horizon_s = forms.RegexField(
        r"^[0-9]{1,6}\Z",
        required=False,
        strip=False,
        error_messages={"invalid": gettext_lazy("Write whole seconds.")},
    )

    def clean_service(self) -> Service:
        """Return the row."""
        number = self.cleaned_data["service"]
        service = Service.objects.filter(pk=number).first()
        if service is None:
            raise forms.ValidationError(_("There is no such service."))
        return service

    def clean_policy(self) -> EscalationPolicy | None:
        """Return the row; None: the one that a real incident would follow."""
        number = self.cleaned_data["policy"]
        if number is None:
            return None
        policy = EscalationPolicy.objects.filter(pk=number).first()
        if policy is None:
            raise forms.ValidationError(_("There is no such escalation policy."))
        return policy

    def clean_horizon_s(self) -> int:
        """Return seconds."""
        seconds = int(self.cleaned_data["horizon_s"] or _HORIZON_S)
        if not MIN_HORIZON_S <= seconds <= MAX_HORIZON_S:
            raise forms.ValidationError(
                _("Give %(least)d to %(most)d seconds.")
                % {"least": MIN_HORIZON_S, "most": MAX_HORIZON_S}
            )
        return seconds


class SimulatorResource(Resource):
    """Read only, and it writes nothing: the page's answer, from the same function."""

    resource = "simulator"
    serializer_class = SimulationSerializer
    parameters: ClassVar = {
        "read": ("service", "priority", "at", "policy", "horizon_s")
    }
    access: ClassVar = {
        "read": Access("incidents:read", "incidents.view_escalationpolicy")
    }

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "service", _NUMBER, required=True, description="What breaks."
            ),
            OpenApiParameter(
                "priority",
                OpenApiTypes.STR,
                required=True,
                enum=Priority.values,
                description="How bad it is.",
            ),
            OpenApiParameter(
                "at",
                OpenApiTypes.DATETIME,
                description="When it opens, past or to come; left out: now.",
            ),
            OpenApiParameter(
                "policy",
                _NUMBER,
                description="Left out: the one that a real incident would follow.",
            ),
            OpenApiParameter(
                "horizon_s",
                {
                    "type": "integer",
                    "minimum": MIN_HORIZON_S,
                    "maximum": MAX_HORIZON_S,
                    "default": _HORIZON_S,
                },
                description="How far to look from there.",
            ),
        ],
        responses=SimulationSerializer,
    )
    def read(self, request: Request) -> HttpResponse:
        """Read who would be told of an incident, by what, when and why."""
        asked = _asked(request.query_params)
        found = simulator.run(
            service=asked["service"],
            priority=asked["priority"],
            at=asked["at"] or timezone.now(),
            fixed=asked["policy"],
            horizon=timedelta(seconds=asked["horizon_s"]),
        )
        return JsonAnswer(
            {
                "at": fields.write_moment(found.at),
                "until": fields.write_moment(found.until),
                "policy_name": found.policy.name,
                "is_digest": found.policy.is_digest,
                "response_due_at": fields.write_moment(found.response_due_at),
                "is_cut": found.is_cut,
                "moments": [_moment(moment) for moment in found.moments],
            }
        )


def _asked(parameters: Any) -> dict[str, Any]:
    form = _Asked(parameters)
    if not form.is_valid():
        raise QueryInvalid(
            {name: str(errors[0]) for name, errors in form.errors.items()}
        )
    return form.cleaned_data


def _moment(moment: Moment) -> dict[str, Any]:
    page = moment.page
    return {
        "at": fields.write_moment(moment.at),
        "steps": [step + 1 for step in page.steps],
        "deliveries": [DeliverySerializer.represent(one) for one in page.deliveries],
        "misses": [MissSerializer.represent(miss) for miss in page.misses],
        "resort": page.resort,
        "has_mention": page.has_mention,
    }
