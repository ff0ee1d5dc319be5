"""What a source, a KPI, a target or a digest may hold; forms, API and import share it.

Each function yields what is wrong, with the field at fault and what to do; what is
missing is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from kpis.models.kpi import (
    MAX_INTERVAL_S,
    MAX_LATENESS_S,
    MAX_RECOMPUTE_COUNT,
    MAX_WINDOW,
    MIN_INTERVAL_S,
)
from kpis.models.source import MAX_TIMEOUT_S
from kpis.reading import VALUE_DECIMALS
from kpis.sources import registry
from monitors.validation import leads_elsewhere
from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.zones import YEARS

# Pages that stand beside those of KPIs.
_TAKEN_SLUGS = frozenset({"wall"})
# Bounds of whole numbers, both included.
_RANGES = {
    "window": (1, MAX_WINDOW),
    "decimals": (0, VALUE_DECIMALS),
    "interval_s": (MIN_INTERVAL_S, MAX_INTERVAL_S),
    "lateness_s": (0, MAX_LATENESS_S),
    "recompute_count": (0, MAX_RECOMPUTE_COUNT),
    "timeout_s": (1, MAX_TIMEOUT_S),
    "weekday": (0, 6),
    "day": (1, 28),
}


def source_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a data source."""
    yield from _range_faults(values, ["timeout_s"])
    if values.get("kind"):
        for field, message in registry.validate_source(values).items():
            yield Fault(field, message)


def moving_faults(
    *,
    old: str,
    new: str,
    is_private: bool,
    may_allow_private: bool,
    has_secret: bool,
    is_secret_given: bool,
) -> Iterator[Fault]:
    """Check a change of a source's address: secret and private networks stay behind.

    `is_secret_given`: a new secret was entered, or the old one is cleared.
    """
    if not leads_elsewhere(old=old, new=new):
        return
    if is_private and not may_allow_private:
        yield Fault(
            "url",
            _(
                "This source may reach private networks, and you may not point it"
                " elsewhere. Ask somebody with that permission."
            ),
        )
    if has_secret and not is_secret_given:
        yield Fault(
            "secret",
            _(
                "The address is a different one now. Enter its secret, or clear the"
                " old one: it isn't sent there."
            ),
        )


def kpi_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a KPI; with its `source`, also what it asks of it.

    `source`: a row, or anything with its `kind` and `allowed_tables`.
    """
    if values.get("slug") in _TAKEN_SLUGS:
        yield Fault("slug", _("Choose another slug: a page is called so."))
    yield from _range_faults(
        values, ["window", "decimals", "interval_s", "lateness_s", "recompute_count"]
    )
    yield from _zone_faults(values)
    stale_s, overdue_s = values.get("stale_after_s"), values.get("overdue_after_s")
    if stale_s is not None and stale_s < 1:
        yield Fault("stale_after_s", _("Give at least 1 second."))
    elif stale_s is not None and overdue_s is not None and overdue_s < stale_s:
        yield Fault("overdue_after_s", _("Give no less than for stale."))
    for field, message in registry.validate(values).items():
        yield Fault(field, message)


def target_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a target: it begins with a month."""
    month = values.get("month")
    if month is not None and (month.day != 1 or month.year not in YEARS):
        yield Fault("month", _("Enter the first day of a month."))


def digest_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check when a digest is sent."""
    yield from _range_faults(values, ["weekday", "day"])
    yield from _zone_faults(values)


def _range_faults(values: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    for name in names:
        value, (least, most) = values.get(name), _RANGES[name]
        if value is not None and not least <= value <= most:
            yield Fault(
                name,
                _("Give %(least)d to %(most)d.") % {"least": least, "most": most},
            )


def _zone_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    zone = values.get("time_zone")
    if zone == "":
        yield Fault("time_zone", _("Enter a time zone's name, such as Europe/Paris."))
    elif zone is not None:
        for field, message in validate_time_zone(time_zone=zone).items():
            yield Fault(field, message)
