"""An expectation in one sentence, and what became of it, for pages and messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from incidents.expectations.judging import Reason, Verdict
from incidents.models import ReachExpectation, ReachExpectationState
from incidents.models.schedule import weekdays
from notifications.models.contact import method_kinds
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration, minute

_Occasion = ReachExpectation.Occasion


def sentence(expectation: ReachExpectation) -> str:
    """Say what must be true: "A P0 on Backend tells Ana by SMS within 5 min.".

    The rows that it names are loaded.
    """
    facts = {
        "priority": Priority(expectation.priority).short,
        "what": _subject(expectation),
        "whom": whom(expectation),
        "length": duration(expectation.within_s),
        "when": _occasion(expectation),
    }
    if not expectation.method:
        said = _(
            "%(when)s: a %(priority)s on %(what)s tells %(whom)s within %(length)s."
        )
    else:
        facts["method"] = dict(method_kinds()).get(
            expectation.method, expectation.method
        )
        said = _(
            "%(when)s: a %(priority)s on %(what)s tells %(whom)s by %(method)s within"
            " %(length)s."
        )
    return said % facts


def whom(expectation: ReachExpectation) -> str:
    """Name who must be told."""
    if expectation.contact is not None:
        return expectation.contact.name
    if expectation.schedule is not None:
        return _("whoever is on call in “%(schedule)s”") % {
            "schedule": expectation.schedule.name
        }
    if expectation.team is not None:
        return _("the team “%(team)s”") % {"team": expectation.team.name}
    if expectation.channel is not None:
        return expectation.channel.name
    return _("somebody")


def outcome(state: ReachExpectationState | Verdict, *, now: datetime) -> str:
    """Say when it would be told, or why it would not."""
    expectation = state.expectation
    if state.status == ReachExpectationState.Status.PAST:
        return _("Its moment is over.")
    words = {"when": _opening(expectation, state.opens_at, now)}
    if state.told_at is None:
        return f"{_opened(words)} {Reason(state.reason).label}"
    after = state.told_at - state.opens_at
    if after < timedelta(seconds=1):
        return f"{_opened(words)} {_('Told at once.')}"
    return (
        f"{_opened(words)} {_('Told after %(length)s.') % {'length': duration(after)}}"
    )


def broken(verdict: Verdict, *, now: datetime) -> str:
    """Say that something that must stay true no longer is, and why."""
    return _("“%(name)s” no longer holds. %(why)s") % {
        "name": verdict.expectation.name,
        "why": outcome(verdict, now=now),
    }


def _opened(words: dict[str, str]) -> str:
    return _("If it breaks %(when)s:") % words


def _opening(expectation: ReachExpectation, at: datetime, now: datetime) -> str:
    if expectation.occasion == _Occasion.ALWAYS:
        return _("now")
    with timezone.override(ZoneInfo(expectation.time_zone)):
        return _("on %(moment)s") % {"moment": minute(at, now=now)}


def _subject(expectation: ReachExpectation) -> str:
    if expectation.service is not None:
        return expectation.service.name
    return _("whatever follows “%(policy)s”") % {
        "policy": expectation.policy.name if expectation.policy is not None else ""
    }


def _occasion(expectation: ReachExpectation) -> str:
    zone = expectation.time_zone
    match expectation.occasion:
        case _Occasion.WEEKLY if expectation.clock is not None:
            return _("Every %(weekday)s at %(time)s (%(zone)s)") % {
                "weekday": dict(weekdays())[expectation.weekday],
                "time": f"{expectation.clock:%H:%M}",
                "zone": zone,
            }
        case _Occasion.ONCE if expectation.at is not None:
            local = expectation.at.astimezone(ZoneInfo(zone))
            return _("On %(moment)s (%(zone)s)") % {
                "moment": date_format(local, "j F Y, H:i"),
                "zone": local.tzname(),
            }
        case _:
            return _("At any moment")
