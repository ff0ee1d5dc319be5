"""What a version of a template says: written from its draft, copied into runs.

The one place that knows the form of `TemplateVersion.content`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from checklists.canonical import digest
from checklists.models import ChecklistTemplate, RunItem, TemplateItem

FORM = 1
_TEMPLATE = ("slug", "name", "name_fr", "description", "description_fr")
_SECTION = ("key", "position", "title", "title_fr")
# What a signature vouches for, in the order in which a form asks for it.
ASKED = (
    "key",
    "title",
    "title_fr",
    "help",
    "help_fr",
    "kind",
    "verifier",
    "parameters",
    "required_role",
    "signatures_required",
    "forbid_self",
    "evidence_required",
    "valid_for_s",
    "is_blocking",
    "runbook_url",
)
_ITEM = ("position", *ASKED)


def content_of(template: ChecklistTemplate) -> dict[str, Any]:
    """Return the draft of a template as the content of a version; two queries."""
    sections = template.sections.order_by("position", "pk").prefetch_related(
        "items__owner"
    )
    return {
        "form": FORM,
        **_picked(template, _TEMPLATE),
        "sections": [
            {
                **_picked(section, _SECTION),
                "items": [
                    _item(item)
                    for item in sorted(
                        section.items.all(), key=lambda one: (one.position, one.pk)
                    )
                ],
            }
            for section in sections
        ],
    }


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a version's content."""
    return digest(content)


def run_items(content: Mapping[str, Any]) -> Iterator[tuple[RunItem, int | None]]:
    """Yield an unsaved run's item for each of a version, with its owner's number.

    Positions are counted anew, so that two items of one position keep their order.
    """
    for place, section in enumerate(content["sections"]):
        for position, item in enumerate(section["items"]):
            values = {name: item[name] for name in ASKED}
            headed = {
                "section_title": section["title"],
                "section_title_fr": section["title_fr"],
            }
            owner = item["owner"] or {}
            row = RunItem(
                **values,
                **headed,
                section_position=place,
                position=position,
                owner_name=owner.get("name", ""),
                content_hash=digest({**values, **headed}),
            )
            yield row, owner.get("id")


def items_of(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the title of the section and the item, for each item of a version."""
    for section in content.get("sections", ()):
        for item in section["items"]:
            yield section["title"], item


def _item(item: TemplateItem) -> dict[str, Any]:
    owner = item.owner
    return {
        **_picked(item, _ITEM),
        "owner": None if owner is None else {"id": owner.pk, "name": owner.name},
    }


def _picked(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
