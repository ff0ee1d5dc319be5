"""What a policy does, in plain words: "At once: …; every 5 min again. After 10 min: …"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.dates import WEEKDAYS
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.escalation.expanding import World
from incidents.escalation.policy import Hours, Policy, Step
from t4g_portal.lib.wording import duration


def sentences(*, policy: Policy, world: World) -> list[str]:
    """Say each step in one sentence; what can't be reached now is marked so."""
    said = [_step(step, world) for step in policy.steps]
    if policy.ack_expires_s:
        said.append(
            _(
                "Whoever acknowledges confirms every %(duration)s; otherwise it starts "
                "again."
            )
            % {"duration": duration(policy.ack_expires_s)}
        )
    return said


def _step(step: Step, world: World) -> str:
    when = (
        _("After %(duration)s") % {"duration": duration(step.after_s)}
        if step.after_s
        else _("At once")
    )
    whom = ", ".join(_whom(step, world)) or _("nobody")
    mention = _(", mentioning everyone") if step.has_mention else ""
    again = "".join(f"; {each}" for each in _again(step))
    hours = f"; {_hours(step.hours)}" if step.hours else ""
    # In one piece, because French sets a space before the colon.
    return _("%(when)s: %(whom)s.") % {
        "when": when,
        "whom": f"{whom}{mention}{again}{hours}",
    }


def _whom(step: Step, world: World) -> Iterator[str]:
    for pk in step.channel_ids:
        name = world.names.get(pk, f"#{pk}")
        yield (
            name
            if pk in world.channels
            else _("%(name)s (can’t be used now)") % {"name": name}
        )
    for pk in step.schedule_ids:
        duty = world.duties.get(pk)
        name = duty.name if duty else f"#{pk}"
        yield _("whoever is on call for %(schedule)s") % {"schedule": name}
    for pk in step.contact_ids:
        name = world.contacts.get(pk, f"#{pk}")
        yield (
            name
            if world.roads.get(pk)
            else _("%(name)s (can’t be reached now)") % {"name": name}
        )
    for pk in step.team_ids:
        crew = world.crews.get(pk)
        name = crew.name if crew else f"#{pk}"
        count = len(crew.contact_ids) if crew else 0
        yield ngettext(
            "the team %(team)s (%(count)d person)",
            "the team %(team)s (%(count)d people)",
            count,
        ) % {"team": name, "count": count}


def _again(step: Step) -> Sequence[str]:
    if not step.repeat_s:
        return []
    every = {"duration": duration(step.repeat_s), "count": step.repeat_limit}
    if step.repeat_limit:
        return [
            ngettext(
                "once again after %(duration)s",
                "every %(duration)s again, %(count)d times",
                step.repeat_limit,
            )
            % every
        ]
    return [_("every %(duration)s again until somebody acknowledges") % every]


def _hours(hours: Hours) -> str:
    days = ", ".join(str(WEEKDAYS[day]) for day in sorted(hours.weekdays))
    times = ""
    if hours.only_from is not None and hours.only_until is not None:
        times = _("%(from)s to %(until)s") % {
            "from": time_format(hours.only_from, "H:i"),
            "until": time_format(hours.only_until, "H:i"),
        }
    when = " ".join(filter(None, [days, times]))
    return _("only %(when)s (%(zone)s), otherwise it waits until then") % {
        "when": when,
        "zone": hours.time_zone,
    }
