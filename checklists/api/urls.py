"""Addresses below /api/v1/."""

from __future__ import annotations

from django.urls import path

from checklists.api.audit import AuditEntryResource
from checklists.api.evidence import EvidenceResource, ItemEvidenceResource
from checklists.api.gates import GateDecisionResource, GateResource, UnslashedGate
from checklists.api.runs import RunResource
from checklists.api.templates import TemplateResource, TemplateVersionResource
from t4g_portal.lib.api.urls import resource

_ITEM = "checklist-runs/<number:id>/items/<slug:key>"

urlpatterns = [
    *resource("checklist-templates/", TemplateResource),
    path(
        "checklist-templates/<number:id>/versions/",
        TemplateVersionResource.as_view({"get": "list"}),
    ),
    *resource(
        "checklist-runs/",
        RunResource,
        acts={
            "move": "post move",
            "close": "post close",
            "cancel": "post cancel",
            "bundle": "get bundle",
        },
    ),
    path(
        f"{_ITEM}/evidence/",
        ItemEvidenceResource.as_view({"get": "list", "post": "create"}),
    ),
    path(f"{_ITEM}/verify/", ItemEvidenceResource.as_view({"post": "verify"})),
    *resource(
        "checklist-evidence/", EvidenceResource, acts={"withdraw": "post withdraw"}
    ),
    path(
        "gates/<slug:service>/<slug:environment>/",
        GateResource.as_view({"get": "read"}),
    ),
    # As pipelines write it.
    path(
        "gates/<slug:service>/<slug:environment>",
        UnslashedGate.as_view({"get": "read"}),
    ),
    *resource("gate-decisions/", GateDecisionResource),
    *resource("audit-entries/", AuditEntryResource),
]
