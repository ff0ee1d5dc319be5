"""Checklist templates and audit anchors. Versions and runs are made in the portal, never by a file."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from checklists import validation
from checklists.models import (
    AuditAnchor,
    ChecklistTemplate,
    TemplateItem,
    TemplateSection,
)
from notifications.models import Channel, Contact
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)


def _check_section(candidate: Candidate) -> Iterator[Fault]:
    here = candidate.values["key"]
    items = candidate.parts["items"]
    taken = set(
        TemplateItem.objects.filter(
            section__template__slug=candidate.values["template"]
        )
        .exclude(section__key=here)
        .values_list("key", flat=True)
    )
    for index, item in enumerate(items):
        for fault in validation.item_faults(item):
            yield Fault(
                fault.field,
                fault.message,
                inside=fault.inside,
                part="items",
                index=index,
            )
        if item["key"] in taken:
            yield Fault(
                "key",
                _("Another section of the template has an item of this key."),
                part="items",
                index=index,
            )


def _check_anchor(candidate: Candidate) -> Iterator[Fault]:
    for fault in validation.anchor_faults(candidate.values):
        yield Fault(fault.field, fault.message)


CHECKLIST_TEMPLATES = Section(
    name="checklist_templates",
    model=ChecklistTemplate,
    key=("slug",),
    columns=columns(
        ChecklistTemplate,
        "slug name name_fr description description_fr is_enabled needs_two_to_publish",
    ),
    left_out=frozenset(),
)

CHECKLIST_SECTIONS = Section(
    name="checklist_sections",
    model=TemplateSection,
    key=("template", "key"),
    columns=columns(
        TemplateSection,
        "template key position title title_fr",
        references={ChecklistTemplate: "slug"},
    ),
    left_out=frozenset(),
    parts=(
        Part(
            name="items",
            model=TemplateItem,
            parent="section",
            key=("key",),
            columns=columns(
                TemplateItem,
                "key position title title_fr help help_fr kind verifier parameters"
                " required_role signatures_required forbid_self evidence_required"
                " valid_for_s is_blocking owner runbook_url",
                references={Contact: "name"},
            ),
            left_out=frozenset(),
        ),
    ),
    check=_check_section,
)

AUDIT_ANCHORS = Section(
    name="audit_anchors",
    model=AuditAnchor,
    key=("name",),
    columns=columns(
        AuditAnchor,
        "name at time_zone channels contacts is_enabled",
        references={Channel: "name", Contact: "name"},
    ),
    left_out=frozenset(),
    check=_check_anchor,
)
