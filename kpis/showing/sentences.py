"""A card in words: what changed, how far the target is, and the sentence of its page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kpis.showing import figures, periods, standing
from kpis.showing.card import Card, Definition
from kpis.showing.comparing import Change, NoComparison, Progress
from kpis.showing.standing import Freshness
from t4g_portal.lib import wording
from t4g_portal.lib.retelling import retold

# So near a target it is met in words.
_EXACT = 0.0005


def size_of_change(of: Definition, change: Change) -> str:
    """Say how large a change is: "+4.2 %", "−0.3 points", "no change", "n/a"."""
    if change.difference is None:
        return _("n/a")
    if not change.difference:
        return _("no change")
    before = figures.sign(change.difference)
    if change.ratio is None or of.unit == figures.PERCENT:
        said = figures.amount(change.difference, unit=of.unit, decimals=of.decimals)
        return f"{before}{said}"
    return f"{before}{figures.share(change.ratio)}"


def why_no_change(change: Change) -> str:
    """Say why there is no share of change; empty when there is one."""
    return {
        NoComparison.NONE: "",
        NoComparison.MISSING: _("The period before has no value."),
        NoComparison.ZERO: _("It was 0 before, of which nothing is a share."),
        NoComparison.RECOMPUTED: _("It was computed in another way before."),
    }[change.why_not]


def against(card: Card) -> str:
    """Say what a change is against: "against the day before"."""
    words = {"before": periods.before(card.of.shape)}
    if card.is_so_far:
        return _("against %(before)s by the same time") % words
    return _("against %(before)s") % words


def distance(of: Definition, progress: Progress) -> str:
    """Say how far the target is: "92 % of 1,340 users", "12 % above 300 ms"."""
    target = of.figure(progress.target)
    if progress.ratio is None:
        return _("target %(target)s") % {"target": target}
    if of.unit == figures.PERCENT and progress.is_reached is not False:
        # A share of a share says nothing.
        return _("target %(target)s") % {"target": target}
    words = {"gap": _gap(of, progress), "target": target}
    if of.unit == figures.PERCENT and of.is_higher_better:
        return _("%(gap)s short of %(target)s") % words
    if of.is_higher_better or progress.is_reached is None:
        return _("%(share)s of %(target)s") % {
            "share": wording.percent(progress.ratio, digits=0)
            if progress.ratio < 1
            else figures.share(progress.ratio),
            "target": target,
        }
    if progress.is_reached:
        return _("within %(target)s") % {"target": target}
    return _("%(gap)s above %(target)s") % words


def sentence(card: Card) -> str:
    """Say value, change and target in one sentence, for the top of a page and a digest.

    "7 days to Thu 26 Nov: 1,234 users, 4.2 % more than the day before, 8 % short of the
    target of 1,340 users".
    """
    if card.figure is None:
        return nothing_known(card)
    parts = [str(card.figure), _compared(card), _aimed(card)]
    return _("%(period)s: %(said)s") % {
        "period": card.period,
        "said": ", ".join(part for part in parts if part),
    }


def nothing_known(card: Card) -> str:
    """Say why there is no value at all."""
    if card.freshness == Freshness.OFF:
        return _("Not read: its data source is switched off")
    if card.freshness in (Freshness.FAILING, Freshness.NO_VALUE):
        return _("No value yet")
    return _("Waiting for the first value")


def doubt(card: Card) -> str:
    """Say why a value can't be believed; empty when it can.

    "Failing since 08:10: No answer within 10 s".
    """
    collected = card.collected
    if card.freshness in (Freshness.FRESH, Freshness.NEVER):
        return ""
    if card.freshness == Freshness.OFF:
        return _("Its data source is switched off.")
    if card.freshness == Freshness.FAILING or collected.failure_count:
        since = collected.failing_since
        said = (
            _("Can't be read since %(time)s")
            % {"time": wording.minute(since, now=card.now)}
            if since
            else _("Can't be read")
        )
        return _said(said, collected.message)
    if card.freshness == Freshness.NO_VALUE:
        return _said(_("The source has no newer value"), collected.message)
    since = standing.out_of_date_since(collected)
    if since is None:
        return ""
    return _("No new value since %(time)s") % {
        "time": wording.minute(since, now=card.now)
    }


def running(card: Card, *, is_short: bool = False) -> str:
    """Say how the period that is not over comes on; empty without one.

    "Today so far: 312 users, +8 % against the day before by the same time", or
    "Today so far: 312 users (+8 %)".
    """
    if card.running is None:
        return ""
    point = card.running
    name = (
        periods.so_far(card.of.shape)
        if point.end > card.now
        else _("%(period)s, not final")
        % {
            "period": periods.period(
                shape=card.of.shape, start=point.start, end=point.end, now=card.now
            )
        }
    )
    said = str(card.of.figure(point.value))
    change = card.running_change
    if change.difference is not None and change.difference:
        frame = (
            _("%(value)s (%(change)s)")
            if is_short
            else _("%(value)s, %(change)s against %(before)s by the same time")
        )
        said = frame % {
            "value": said,
            "change": size_of_change(card.of, change),
            "before": periods.before(card.of.shape),
        }
    return _("%(period)s: %(said)s") % {"period": name, "said": said}


def board_headline(cards: Sequence[Card]) -> str:
    """Say in one sentence how all of them stand."""
    looks = [card for card in cards if card.needs_a_look]
    if any(standing.needs_a_look(card.standing) for card in looks):
        return ngettext(
            "%(count)d of %(all)d KPIs needs a look",
            "%(count)d of %(all)d KPIs need a look",
            len(looks),
        ) % {"count": len(looks), "all": len(cards)}
    if looks:
        return ngettext(
            "%(count)d of %(all)d KPIs moved more than usual",
            "%(count)d of %(all)d KPIs moved more than usual",
            len(looks),
        ) % {"count": len(looks), "all": len(cards)}
    waiting = sum(card.figure is None for card in cards)
    if waiting == len(cards):
        return _("No KPI has a value yet")
    if waiting:
        return ngettext(
            "Nothing to look at; %(count)d KPI waits for its first value",
            "Nothing to look at; %(count)d KPIs wait for their first value",
            waiting,
        ) % {"count": waiting}
    return ngettext(
        "The KPI is up to date, and nothing is off target",
        "All %(count)d KPIs are up to date, and nothing is off target",
        len(cards),
    ) % {"count": len(cards)}


def board_look(cards: Sequence[Card]) -> str:
    """Return the state whose icon and color the headline has."""
    worst = min(
        (card for card in cards if standing.needs_a_look(card.standing)),
        key=lambda card: standing.rank(card.standing),
        default=None,
    )
    if worst is not None:
        return worst.look
    return "up" if any(card.figure is not None for card in cards) else "pending"


def reason(card: Card) -> str:
    """Say why a card is among those to look at first."""
    doubted = doubt(card)
    if doubted:
        return doubted
    if card.standing in (standing.Standing.CRITICAL, standing.Standing.WARNING):
        return _("Beyond its threshold.")
    if card.progress is not None and card.progress.is_reached is False:
        return distance(card.of, card.progress)
    if card.has_moved:
        return _("A larger change than 9 in 10 before it.")
    return ""


def _compared(card: Card) -> str:
    change = card.change
    if change.difference is None or card.is_so_far:
        return ""
    before = periods.before(card.of.shape)
    if not change.difference:
        return _("the same as %(before)s") % {"before": before}
    if change.ratio is None or card.of.unit == figures.PERCENT:
        amount = figures.amount(
            change.difference, unit=card.of.unit, decimals=card.of.decimals
        )
    else:
        amount = figures.share(change.ratio)
    words = {"amount": amount, "before": before}
    if change.difference > 0:
        return _("%(amount)s more than %(before)s") % words
    return _("%(amount)s less than %(before)s") % words


def _aimed(card: Card) -> str:
    progress = card.progress
    if progress is None:
        return ""
    words = {"target": str(card.of.figure(progress.target))}
    if progress.ratio is None or progress.is_reached is None:
        return _("target %(target)s") % words
    words["gap"] = _gap(card.of, progress)
    if abs(progress.ratio - 1) < _EXACT:
        return _("right on the target of %(target)s") % words
    if progress.is_reached:
        if card.of.is_higher_better:
            return _("%(gap)s over the target of %(target)s") % words
        return _("within the target of %(target)s") % words
    if card.of.is_higher_better:
        return _("%(gap)s short of the target of %(target)s") % words
    return _("%(gap)s above the target of %(target)s") % words


def _gap(of: Definition, progress: Progress) -> str:
    """Say the way between a value and its target: a share of it, or points."""
    ratio = progress.ratio or 0.0
    if of.unit == figures.PERCENT:
        way = progress.target * (Decimal(repr(ratio)) - 1)
        return figures.amount(way, unit=of.unit, decimals=of.decimals)
    return figures.share(ratio - 1)


def _said(said: str, why: str) -> str:
    return _("%(said)s: %(why)s") % {"said": said, "why": retold(why)} if why else said
