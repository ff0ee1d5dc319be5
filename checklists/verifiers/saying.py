"""Findings in words: codes and values become sentences, in the reader's language and zone.

What a value is, its name says, as everywhere in the portal: `_at` is a moment, `_s` and
`_ms` are lengths, `_count` is a number, `message` a stored sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from t4g_portal.lib import wording
from t4g_portal.lib.retelling import retold

# Codes that any verifier may answer with; the engine says the last itself.
COMMON: Mapping[str, Any] = {
    "internal": gettext_lazy(
        "The portal itself made a mistake while it looked; its log says which."
    ),
    "misconfigured": gettext_lazy(
        "The template asks in a way that makes no sense: %(message)s"
    ),
    "unknown_verifier": gettext_lazy(
        "There is no verifier called “%(name)s” any more."
    ),
}
_LABELS: Mapping[str, Any] = {
    "acknowledged_at": gettext_lazy("Acknowledged"),
    "acknowledged_by": gettext_lazy("Acknowledged by"),
    "acknowledged_s": gettext_lazy("Acknowledged after"),
    "address": gettext_lazy("Address"),
    "bound": gettext_lazy("Bound"),
    "channels": gettext_lazy("Channels"),
    "count": gettext_lazy("Number"),
    "covered_until_at": gettext_lazy("Looked ahead to"),
    "days": gettext_lazy("Days"),
    "drill": gettext_lazy("Drill"),
    "duration_ms": gettext_lazy("Duration"),
    "ended_at": gettext_lazy("Ended"),
    "events": gettext_lazy("Events"),
    "expectations": gettext_lazy("Expectations"),
    "expected_statuses": gettext_lazy("Expected statuses"),
    "hours": gettext_lazy("Hours"),
    "interval_s": gettext_lazy("Interval"),
    "json_path": gettext_lazy("JSON path"),
    "json_value": gettext_lazy("Value there"),
    "kind": gettext_lazy("Kind"),
    "kpis": gettext_lazy("KPIs"),
    "last_at": gettext_lazy("Last seen"),
    "latency_ms": gettext_lazy("Latency"),
    "levels": gettext_lazy("Levels"),
    "max_age_s": gettext_lazy("At most so old"),
    "max_latency_ms": gettext_lazy("At most so slow"),
    "message": gettext_lazy("Said"),
    "message_id": gettext_lazy("Message number"),
    "method": gettext_lazy("Method"),
    "methods": gettext_lazy("Methods"),
    "monitor": gettext_lazy("Monitor"),
    "monitors": gettext_lazy("Monitors"),
    "name": gettext_lazy("Name"),
    "names": gettext_lazy("Names"),
    "notification": gettext_lazy("Message"),
    "pages": gettext_lazy("Pages"),
    "platform": gettext_lazy("Platform"),
    "priority": gettext_lazy("Priority"),
    "probed_at": gettext_lazy("Asked"),
    "read_at": gettext_lazy("Read"),
    "receiver": gettext_lazy("Receiver"),
    "schedules": gettext_lazy("Schedules"),
    "sent_at": gettext_lazy("Sent"),
    "series": gettext_lazy("Series"),
    "service": gettext_lazy("Service"),
    "since_at": gettext_lazy("Since"),
    "slug": gettext_lazy("Short name"),
    "started_at": gettext_lazy("Started"),
    "status": gettext_lazy("Status"),
    "status_code": gettext_lazy("HTTP status"),
    "target": gettext_lazy("Target"),
    "threshold": gettext_lazy("Threshold"),
    "thresholds": gettext_lazy("Thresholds"),
    "unit": gettext_lazy("Unit"),
    "url": gettext_lazy("Address"),
    "value": gettext_lazy("Value"),
    "version": gettext_lazy("Version"),
    "vitals": gettext_lazy("Vitals"),
    "ways": gettext_lazy("Ways"),
}
# What only tells one thing from another.
_SILENT = frozenset({"code", "id", "fingerprint"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what was looked at or seen."""

    label: str
    text: str


def say(phrases: Mapping[str, Any], code: str, values: Mapping[str, Any]) -> str:
    """Fill a phrase; a code that nobody knows any more is said as it is."""
    phrase = phrases.get(code) or COMMON.get(code)
    if phrase is None:
        return code
    try:
        return str(phrase % {name: _filling(name, one) for name, one in values.items()})
    except (KeyError, TypeError, ValueError):
        # Kept by an older version that knew other values.
        return code


def facts(what: Mapping[str, Any]) -> list[Fact]:
    """Return what was looked at, or seen, as labelled lines; lists one by one."""
    return list(_facts(what))


def _facts(what: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in what.items():
        if name in _SILENT or value in ("", None, [], {}):
            continue
        for one in value if _is_list_of_things(value) else [value]:
            yield Fact(label=_label(name), text=_said(name, one))


def _is_list_of_things(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _said(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            text
            if part == "name"
            else _("%(label)s: %(text)s") % {"label": _label(part), "text": text}
            for part, one in value.items()
            if part not in _SILENT and one not in ("", None, [], {})
            for text in [_said(part, one)]
        )
    return str(_filling(name, value))


def _label(name: str) -> str:
    return str(_LABELS.get(name, name))


def _filling(name: str, value: Any) -> Any:
    """Write a value as its name wants it. Numbers stay numbers, for plurals."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(str(_said(name, one)) for one in value)
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int):
        if name.endswith("_ms"):
            return wording.milliseconds(value)
        return wording.duration(value) if name.endswith("_s") else value
    return wording.NOTHING if value is None else value


def _text(name: str, value: str) -> str:
    if name == "message":
        return retold(value)
    moment = parse_datetime(value) if name.endswith("_at") else None
    return wording.absolute(moment) if moment is not None else value


def instant(moment: datetime | None) -> str:
    """Return a moment as findings keep it: UTC, to the second."""
    if moment is None:
        return ""
    return (
        moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    )
