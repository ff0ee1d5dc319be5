"""Addresses below /api/v1/."""

from __future__ import annotations

from django.urls import path

from incidents.api.covers import AbsenceResource, OverrideResource, SwapResource
from incidents.api.deploying import DeployWindowResource, HeldAlertResource
from incidents.api.expectations import ExpectationResource
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
from incidents.api.schedules import RotationResource, ScheduleResource
from incidents.api.services import ServiceResource
from incidents.api.shifts import OnCallResource
from incidents.api.simulator import SimulatorResource
from incidents.api.together import (
    ActionItemResource,
    IncidentRoleResource,
    PostmortemResource,
    TogetherResource,
)
from t4g_portal.lib.api.urls import resource

_TOGETHER = {
    "hand-over": "ask",
    "hand-over/accept": "accept",
    "hand-over/decline": "decline",
    "hand-over/withdraw": "withdraw",
    "merge": "merge",
    "role": "give_role",
}

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
            "public": "post tell_public",
        },
    ),
    path(
        "incidents/<number:id>/timeline/",
        TimelineResource.as_view({"get": "list", "post": "add_note"}),
    ),
    path(
        "incidents/<number:id>/alerts/", IncidentAlertResource.as_view({"get": "list"})
    ),
    *[
        path(f"incidents/<number:id>/{name}/", TogetherResource.as_view({"post": act}))
        for name, act in _TOGETHER.items()
    ],
    path("incidents/<number:id>/roles/", IncidentRoleResource.as_view({"get": "list"})),
    path(
        "incidents/<number:id>/postmortem/",
        PostmortemResource.as_view({"get": "retrieve", "patch": "write"}),
    ),
    *[
        path(
            f"incidents/<number:id>/postmortem/{name}/",
            PostmortemResource.as_view({"post": name}),
        )
        for name in ("finish", "waive", "reopen")
    ],
    path(
        "incidents/<number:id>/postmortem/owner/",
        PostmortemResource.as_view({"post": "give"}),
    ),
    path(
        "incidents/<number:id>/action-items/",
        ActionItemResource.as_view({"post": "add"}),
    ),
    *resource("action-items/", ActionItemResource),
    *resource("deploy-windows/", DeployWindowResource, acts={"close": "post close"}),
    path(
        "deploy-windows/<number:id>/held-alerts/",
        HeldAlertResource.as_view({"get": "list"}),
    ),
    path("numbers/", NumbersResource.as_view({"get": "read"})),
    path("simulator/", SimulatorResource.as_view({"get": "read"})),
    *resource("expectations/", ExpectationResource),
    *resource("priority-rules/", PriorityRuleResource),
    *resource("escalation-policies/", PolicyResource),
    *resource("teams/", TeamResource),
    *resource("service-policies/", ServicePolicyResource),
    *resource(
        "schedules/",
        ScheduleResource,
        acts={"shifts": "get shifts", "warnings": "get flaws", "take": "post take"},
    ),
    *resource("rotations/", RotationResource),
    *resource("overrides/", OverrideResource),
    *resource("absences/", AbsenceResource),
    *resource(
        "swap-requests/",
        SwapResource,
        acts={
            "accept": "post accept",
            "decline": "post decline",
            "withdraw": "post withdraw",
        },
    ),
    path("on-call/", OnCallResource.as_view({"get": "read"})),
]
