"""What one version of a template says differently from another, for people to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _

from checklists.content import ASKED
from checklists.models import ChecklistTemplate, TemplateItem
from checklists.verifiers import registry
from t4g_portal.lib.history.reading import label_of

Content = Mapping[str, Any]
_WHOLE = ("name", "name_fr", "description", "description_fr")


class Kind(StrEnum):
    """What became of an item."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Line:
    """One field: what it was, what it is."""

    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One item, or the template as a whole, that two versions say differently."""

    kind: Kind
    title: str
    lines: tuple[Line, ...] = ()


def between(old: Content | None, new: Content) -> list[Difference]:
    """Return what is different in `new`; all of it is when there is no `old`."""
    before = _items(old or {})
    after = _items(new)
    found = list(_as_a_whole(old, new)) if old else []
    for key, item in after.items():
        if key not in before:
            found.append(Difference(Kind.ADDED, item["title"]))
        elif lines := tuple(_lines(before[key], item)):
            found.append(Difference(Kind.CHANGED, item["title"], lines))
    found += [
        Difference(Kind.REMOVED, item["title"])
        for key, item in before.items()
        if key not in after
    ]
    return found


def _as_a_whole(old: Content, new: Content) -> Iterator[Difference]:
    lines = [
        Line(label_of(ChecklistTemplate, name), _shown(old[name]), _shown(new[name]))
        for name in _WHOLE
        if old[name] != new[name]
    ]
    if _order(old) != _order(new) and set(_order(old)) == set(_order(new)):
        lines.append(Line(_("Order of the items"), _("before"), _("another")))
    if lines:
        yield Difference(Kind.CHANGED, _("The template"), tuple(lines))


def _lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Line]:
    for name in ASKED:
        if old[name] != new[name]:
            words = _WORDS.get(name, _shown)
            yield Line(label_of(TemplateItem, name), words(old[name]), words(new[name]))
    for name, label in (
        ("section", _("Section")),
        ("section_fr", _("Section (French)")),
        ("owner_name", _("Owner")),
    ):
        if old[name] != new[name]:
            yield Line(label, _shown(old[name]), _shown(new[name]))


def _kind(value: str) -> str:
    return str(dict(TemplateItem.Kind.choices).get(value, value))


def _verifier(value: str) -> str:
    return registry.label(value) if value else "–"


def _items(content: Content) -> dict[str, dict[str, Any]]:
    return {
        item["key"]: {
            **item,
            "section": section["title"],
            "section_fr": section["title_fr"],
            "owner_name": (item["owner"] or {}).get("name", ""),
        }
        for section in content.get("sections", ())
        for item in section["items"]
    }


def _order(content: Content) -> list[str]:
    return list(_items(content))


def _shown(value: Any) -> str:
    match value:
        case None | "":
            return "–"
        case bool():
            return _("yes") if value else _("no")
        case dict():
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


_WORDS: Mapping[str, Callable[[Any], str]] = {"kind": _kind, "verifier": _verifier}
