"""Addresses below /api/v1/."""

from __future__ import annotations

from django.urls import path

from incidents.api.incidents import (
    IncidentAlertResource,
    IncidentResource,
    TimelineResource,
)
from incidents.api.numbers import NumbersResource
from incidents.api.policies import (
    PolicyResource,
    ServicePolicyResource,
    TeamResource,
)
from incidents.api.priorities import PriorityRuleResource
from incidents.api.services import ServiceResource
from t4g_portal.lib.api.urls import resource

urlpatterns = [
    *resource("services/", ServiceResource),
    *resource(
        "incidents/",
        IncidentResource,
        acts={
            "acknowledge": "post acknowledge",
            "unacknowledge": "post unacknowledge",
            "escalate": "post escalate",
            "resolve": "post resolve",
            "snooze": "post snooze",
            "priority": "post change_priority",
        },
    ),
    path(
        "incidents/<number:id>/timeline/",
        TimelineResource.as_view({"get": "list", "post": "add_note"}),
    ),
    path(
        "incidents/<number:id>/alerts/", IncidentAlertResource.as_view({"get": "list"})
    ),
    path("numbers/", NumbersResource.as_view({"get": "read"})),
    *resource("priority-rules/", PriorityRuleResource),
    *resource("escalation-policies/", PolicyResource),
    *resource("teams/", TeamResource),
    *resource("service-policies/", ServicePolicyResource),
]
