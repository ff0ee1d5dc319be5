"""What the portal can say of itself, and of what. Pure: names and words only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from kpis.reading import Reason, UnableToRead
from t4g_portal.lib.priority import Priority

_SERIES = re.compile(r'([a-zA-Z_][a-zA-Z0-9_.:/-]*)(?:\{((?:[^{}"]|"[^"]*")*)\})?')
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.-]*)="([^"]*)"\s*(?:,|$)')


class Subject(StrEnum):
    """What a measure is of, and so what its target names."""

    # A service's slug; empty: all of them.
    SERVICE = "service"
    # A series' name, with labels or without.
    SERIES = "series"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure; `how` says what is taken of the values of a series."""

    label: Any
    subject: Subject
    how: str = ""
    priority: str = ""


MEASURES: Mapping[str, Measure] = {
    "uptime_percent": Measure(_("Uptime (%)"), Subject.SERVICE),
    "mtta_s": Measure(_("MTTA: mean time to acknowledge (s)"), Subject.SERVICE),
    "mttr_s": Measure(_("MTTR: mean time to resolve (s)"), Subject.SERVICE),
    "incident_count": Measure(_("Incidents"), Subject.SERVICE),
    **{
        f"incident_count_{priority.value.lower()}": Measure(
            label, Subject.SERVICE, priority=priority.value
        )
        for priority, label in (
            (Priority.P0, _("Incidents of P0")),
            (Priority.P1, _("Incidents of P1")),
            (Priority.P2, _("Incidents of P2")),
            (Priority.P3, _("Incidents of P3")),
        )
    },
    "series_average": Measure(_("Average of a series"), Subject.SERIES, how="average"),
    "series_p75": Measure(_("p75 of a series"), Subject.SERIES, how="p75"),
    "series_p95": Measure(_("p95 of a series"), Subject.SERIES, how="p95"),
    "series_sum": Measure(_("Sum of a series"), Subject.SERIES, how="sum"),
    "series_last": Measure(_("Last value of a series"), Subject.SERIES, how="last"),
}


@dataclass(frozen=True, slots=True)
class SeriesTarget:
    """Which series are meant: those of a name that have at least these labels."""

    name: str
    labels: Mapping[str, str]


def choices() -> list[tuple[str, Any]]:
    """(name, label) for a form or a model field."""
    return [(name, measure.label) for name, measure in MEASURES.items()]


def measure_called(name: str) -> Measure:
    """Return a measure. Raises UnableToRead for one that doesn't exist."""
    try:
        return MEASURES[name]
    except KeyError:
        raise UnableToRead(
            Reason.MISCONFIGURED, pgettext("stored", "Choose what is measured")
        ) from None


def parse_series(target: str) -> SeriesTarget:
    """`name` or `name{label="value",…}`. Raises UnableToRead."""
    found = _SERIES.fullmatch(target.strip())
    if found is None:
        raise UnableToRead(
            Reason.MISCONFIGURED,
            pgettext(
                "stored", 'Name the series, such as web_vitals_lcp{route="/"} or cpu'
            ),
        )
    labels, text, position = {}, found[2] or "", 0
    while position < len(text):
        label = _LABEL.match(text, position)
        if label is None:
            raise UnableToRead(
                Reason.MISCONFIGURED,
                pgettext("stored", 'Write labels as {name="value",other="value"}'),
            )
        labels[label[1]] = label[2]
        position = label.end()
    return SeriesTarget(name=found[1], labels=labels)
