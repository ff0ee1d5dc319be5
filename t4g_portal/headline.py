"""The one sentence of the overview: how is production? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from monitors.status import Status
from t4g_portal.lib import wording

# So many services are named; more are counted.
_NAMED_COUNT = 3
_MINUTE = timedelta(minutes=1)
_TROUBLED = (Status.DOWN, Status.DEGRADED, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """What the sentence needs to know of a service.

    `handled_by`: who acknowledged its open incident; None: it has no open incident, and
    empty: nobody has acknowledged yet.
    """

    name: str
    status: Status
    since: datetime | None = None
    handled_by: str | None = None


@dataclass(frozen=True, slots=True)
class Blindness:
    """Since when the portal can't see, and why, in words."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """What is open, whoever raised it; drills and snoozed incidents are left out.

    `is_urgent`: one that nobody has acknowledged is a P0 or a P1.
    """

    waiting_count: int = 0
    is_urgent: bool = False
    handled_count: int = 0


@dataclass(frozen=True, slots=True)
class Headline:
    """A status for icon and color, the sentence, and what follows it in small."""

    status: Status
    text: str
    hint: str = ""


_NONE_OPEN = OpenIncidents()


def headline(
    *,
    services: Sequence[ServiceLine],
    blindness: Blindness | None,
    now: datetime,
    incidents: OpenIncidents = _NONE_OPEN,
) -> Headline:
    """Return the sentence; the worst comes first, and one thing is said.

    Green means that there is nothing to do: never while an incident is open, though
    every service answer. Logs, platforms and programs raise incidents too.
    """
    found = _of_services(services, blindness, now)
    if found.status in _TROUBLED:
        # Whether the trouble itself is acknowledged stands in the sentence.
        silent = sum(line.handled_by == "" for line in services)
        rest = incidents.waiting_count > silent
        return replace(found, hint=_waiting(incidents)) if rest else found
    if incidents.waiting_count:
        status = Status.DOWN if incidents.is_urgent else Status.DEGRADED
        return Headline(status=status, text=_waiting(incidents), hint=found.text)
    if incidents.handled_count:
        said = _handled(incidents)
        return Headline(status=Status.DEGRADED, text=said, hint=found.text)
    return found


def _waiting(incidents: OpenIncidents) -> str:
    count = incidents.waiting_count
    return ngettext(
        "%(count)s incident waits for somebody",
        "%(count)s incidents wait for somebody",
        count,
    ) % {"count": count}


def _handled(incidents: OpenIncidents) -> str:
    count = incidents.handled_count
    return ngettext(
        "%(count)s incident is open, and somebody has it",
        "%(count)s incidents are open, and somebody has each",
        count,
    ) % {"count": count}


def _of_services(
    services: Sequence[ServiceLine], blindness: Blindness | None, now: datetime
) -> Headline:
    watched = [line for line in services if line.status != Status.PENDING]
    if blindness is not None:
        return Headline(
            status=Status.UNKNOWN,
            text=_("Monitoring is blind since %(time)s: %(reason)s")
            % {
                "time": wording.clock(blindness.since, now=now),
                "reason": blindness.reason,
            },
        )
    if not services:
        return Headline(status=Status.PENDING, text=_("Nothing is watched yet"))
    if not watched:
        return Headline(status=Status.PENDING, text=_("Waiting for the first results"))
    for status in _TROUBLED:
        hit = [line for line in watched if line.status == status]
        if hit:
            return Headline(status=status, text=_trouble(status, hit, now))
    return _well(watched, is_whole=len(watched) == len(services))


def _trouble(status: Status, hit: Sequence[ServiceLine], now: datetime) -> str:
    """Return "Backend down for 4 min, acknowledged by Anna"."""
    names = _names([line.name for line in hit])
    word = status.label.lower()
    since = min((line.since for line in hit if line.since), default=None)
    if since is None:
        said = _("%(names)s %(status)s") % {"names": names, "status": word}
    else:
        said = _("%(names)s %(status)s for %(length)s") % {
            "names": names,
            "status": word,
            "length": wording.duration(_coarse(now - since)),
        }
    if status == Status.UNKNOWN:
        return _("%(said)s: nobody has looked") % {"said": said}
    who = _who(hit)
    return f"{said}, {who}" if who else said


def _coarse(length: timedelta) -> timedelta:
    """Whole minutes after the first one: a sentence that ticks is not read."""
    return length - length % _MINUTE if length >= _MINUTE else length


def _who(hit: Sequence[ServiceLine]) -> str:
    """Return who is on it: everybody's name once, or that somebody is missing."""
    handlers = [line.handled_by for line in hit if line.handled_by is not None]
    if not handlers:
        return ""
    if "" in handlers:
        return _("not acknowledged yet")
    return _("acknowledged by %(names)s") % {"names": _names(sorted(set(handlers)))}


def _well(watched: Sequence[ServiceLine], *, is_whole: bool) -> Headline:
    up_count = sum(line.status == Status.UP for line in watched)
    resting = [line.name for line in watched if line.status == Status.MAINTENANCE]
    if resting:
        status, word = Status.MAINTENANCE, _("in maintenance")
    else:
        resting = [line.name for line in watched if line.status == Status.PAUSED]
        status, word = Status.UP if up_count else Status.PAUSED, _("paused")
    if not resting:
        return Headline(status=Status.UP, text=_all_up(up_count, is_whole=is_whole))
    said = _("%(names)s %(status)s") % {"names": _names(resting), "status": word}
    if not up_count:
        return Headline(status=status, text=said)
    others = ngettext(
        "the other service is up", "the other %(count)d services are up", up_count
    ) % {"count": up_count}
    return Headline(status=status, text=f"{said}, {others}")


def _all_up(count: int, *, is_whole: bool) -> str:
    if is_whole:
        said = ngettext("%(count)d service up", "All %(count)d services up", count)
    else:
        said = ngettext(
            "%(count)d watched service up", "All %(count)d watched services up", count
        )
    return said % {"count": count}


def _names(names: Sequence[str]) -> str:
    """Return "Backend", "Backend and API", or "5 services" when they are many."""
    if len(names) > _NAMED_COUNT:
        return ngettext("%(count)d service", "%(count)d services", len(names)) % {
            "count": len(names)
        }
    if len(names) == 1:
        return names[0]
    return _("%(names)s and %(last)s") % {
        "names": ", ".join(names[:-1]),
        "last": names[-1],
    }
