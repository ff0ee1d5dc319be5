"""A digest in words: what can't be believed first, then figures, then incidents. Pure.

In the active language and zone; whoever calls has set those of the reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from kpis.digest.telling import Digest, Stretch, Trouble
from kpis.digest.timing import MONTHLY, WEEKLY
from kpis.showing import figures, periods, sentences, standing
from kpis.showing.card import Card
from kpis.showing.comparing import Change
from kpis.showing.standing import Freshness, Standing
from notifications.message import Fact, Message, Section, Tone
from t4g_portal.lib import wording
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold

# Of each kind of incident; the page has the others.
MOST_LISTED = 15
_UP, _DOWN = "▲", "▼"
# Smaller than this, a share would be said as 0.0 %.
_TINY = 0.0005
# Their value is not what it seems to be, or there is none.
_DOUBTED = frozenset(
    {
        Freshness.STALE,
        Freshness.OVERDUE,
        Freshness.FAILING,
        Freshness.NO_VALUE,
    }
)
_FIRING = frozenset({Standing.CRITICAL, Standing.WARNING})


def compose(*, digest: Digest, language: str, is_p3_told: bool = False) -> Message:
    """Return the message. `is_p3_told`: the P3s were listed to the reader already."""
    doubted = sorted(
        (card for card in digest.cards if card.freshness in _DOUBTED),
        key=lambda card: standing.rank(card.standing),
    )
    read = [
        card
        for card in digest.cards
        if card.freshness not in _DOUBTED and card.freshness != Freshness.OFF
    ]
    # A stable sort: where nothing is to be looked at, the board's order.
    read.sort(key=lambda card: (not card.needs_a_look, _rank(card)))
    sections = (
        Section(_("Look at these first"), tuple(_doubt(card) for card in doubted)),
        Section(_("Values"), tuple(_value(card, digest) for card in read)),
        Section(_heading(digest), tuple(_incidents(digest))),
        Section(_("Small incidents (P3)"), tuple(_small(digest, is_p3_told))),
    )
    return Message(
        title=_title(digest),
        text="\n".join(_summary(digest)),
        tone=_tone(digest),
        sections=tuple(section for section in sections if section.facts),
        url=digest.url,
        url_label=_("Open the KPIs"),
        language=language,
    )


def _title(digest: Digest) -> str:
    day = date_format(digest.occasion.local_date, pgettext("date", "D j M Y"))
    if digest.cadence == WEEKLY:
        title = _("KPIs of the week to %(day)s") % {"day": day}
    elif digest.cadence == MONTHLY:
        title = _("KPIs of the month to %(day)s") % {"day": day}
    else:
        title = _("KPIs on %(day)s") % {"day": day}
    count = sum(_needs_a_look(card) for card in digest.cards)
    if not count:
        return title
    looks = ngettext("%(count)d to look at", "%(count)d to look at", count)
    return f"{title}: {looks % {'count': count}}"


def _summary(digest: Digest) -> Iterator[str]:
    if digest.occasion.is_late(digest.written_at):
        yield _("Sent late: at %(time)s instead of %(due)s.") % {
            "time": _moment(digest.written_at, digest),
            "due": _moment(digest.occasion.due_at, digest),
        }
    asked = [card for card in digest.cards if card.freshness != Freshness.OFF]
    if asked:
        yield _("%(sentence)s.") % {"sentence": sentences.board_headline(asked)}
    elif not digest.cards:
        yield _("No KPI is set up for this digest yet.")
    off_count = len(digest.cards) - len(asked)
    if off_count:
        yield ngettext(
            "%(count)d KPI is not read: its data source is switched off.",
            "%(count)d KPIs are not read: their data sources are switched off.",
            off_count,
        ) % {"count": off_count}
    if not digest.troubles:
        since = _moment(digest.occasion.since, digest)
        yield _("No incident since %(time)s.") % {"time": since}


def _tone(digest: Digest) -> Tone:
    is_doubtful = any(
        card.freshness in _DOUBTED or card.standing in _FIRING for card in digest.cards
    )
    serious = (Priority.P0, Priority.P1)
    is_burning = any(
        one.resolved_at is None and one.priority in serious for one in digest.troubles
    )
    if is_doubtful or is_burning:
        return "warning"
    is_quiet = not digest.troubles and not any(map(_needs_a_look, digest.cards))
    is_read = any(card.figure is not None for card in digest.cards)
    return "good" if is_quiet and is_read else "calm"


def _doubt(card: Card) -> Fact:
    """A value that can't be believed: why, then what was known last."""
    lines = [f"{card.word}. {sentences.doubt(card)}"]
    if card.figure is None:
        lines.append(_("No value so far"))
    else:
        lines.append(
            _("Last value: %(value)s, %(period)s")
            % {"value": card.figure, "period": card.period}
        )
    return Fact(f"⚠ {card.of.name}", "\n".join(lines))


def _value(card: Card, digest: Digest) -> Fact:
    if card.figure is None:
        return Fact(card.of.name, f"{wording.NOTHING}\n{sentences.nothing_known(card)}")
    lines = [f"{card.figure} · {card.period}"]
    stretch = digest.stretches.get(card.of.slug)
    if stretch is None:
        before = _("on %(before)s") % {"before": periods.before(card.of.shape)}
        lines += _changed(card, card.change, before)
    else:
        lines += _over(card, stretch, digest)
    if card.progress is not None:
        lines.append(
            _("Target: %(distance)s")
            % {"distance": sentences.distance(card.of, card.progress)}
        )
    if card.standing in _FIRING:
        lines.append(_("%(level)s: beyond its threshold") % {"level": card.word})
    elif card.standing == Standing.OFF_TARGET:
        lines[-1] += f" · {card.word}"
    if card.has_moved:
        lines.append(_("Moved more than usual"))
    return Fact(card.of.name, "\n".join(lines))


def _over(card: Card, stretch: Stretch, digest: Digest) -> Iterator[str]:
    """The change since the last such digest, and the mean of the time between."""
    is_week = digest.cadence == WEEKLY
    before = _("on the week before") if is_week else _("on the month before")
    yield from _changed(card, stretch.change, before)
    if stretch.mean is None:
        return
    name = _("Mean of the week") if is_week else _("Mean of the month")
    said = f"{name}: {card.of.figure(stretch.mean)}"
    change = "".join(_changed(card, stretch.mean_change, ""))
    yield f"{said} ({change})" if change else said


def _changed(card: Card, change: Change, against: str) -> Iterator[str]:
    """Say a change with an arrow: "▲ 4.2 % on the day before"; nothing when unknown."""
    if change.difference is None:
        return
    if not change.difference:
        yield " ".join(filter(None, ("=", _("no change"), against)))
        return
    arrow = _UP if change.difference > 0 else _DOWN
    is_tiny = change.ratio is not None and abs(change.ratio) < _TINY
    if change.ratio is None or is_tiny or card.of.unit == figures.PERCENT:
        amount = figures.amount(
            change.difference, unit=card.of.unit, decimals=card.of.decimals
        )
    else:
        amount = figures.share(change.ratio)
    yield " ".join(filter(None, (arrow, amount, against)))


def _heading(digest: Digest) -> str:
    return _("Incidents since %(time)s") % {
        "time": _moment(digest.occasion.since, digest)
    }


def _incidents(digest: Digest) -> Iterator[Fact]:
    found = [one for one in digest.troubles if one.priority != Priority.P3]
    if not found:
        return
    if digest.cadence in (WEEKLY, MONTHLY):
        yield _in_numbers(digest, found)
    yield from _listed(found, digest)


def _in_numbers(digest: Digest, found: Sequence[Trouble]) -> Fact:
    """How many there were, and how fast people were."""
    counts = [
        f"{Priority(priority).short}: {count}"
        for priority in Priority.values
        if (count := sum(one.priority == priority for one in found))
    ]
    lines = [" · ".join(counts)]
    responses = digest.responses
    for text, length in (
        (_("Acknowledged after %(length)s"), responses.mean_to_acknowledge),
        (_("Resolved after %(length)s"), responses.mean_to_resolve),
    ):
        if length is not None:
            lines.append(text % {"length": wording.duration(length)})
    return Fact(_("All together, on average"), "\n".join(lines))


def _small(digest: Digest, is_told: bool) -> Iterator[Fact]:
    found = [one for one in digest.troubles if one.priority == Priority.P3]
    if not found:
        return
    if not is_told:
        yield from _listed(found, digest)
        return
    since = digest.occasion.since
    fresh = sum(one.opened_at >= since for one in found)
    still_open = sum(one.resolved_at is None for one in found)
    yield Fact(
        ", ".join(
            (
                ngettext("%(count)d new", "%(count)d new", fresh) % {"count": fresh},
                ngettext("%(count)d open", "%(count)d open", still_open)
                % {"count": still_open},
            )
        ),
        _("This morning's P3 digest lists them."),
    )


def _listed(found: Sequence[Trouble], digest: Digest) -> Iterator[Fact]:
    for one in found[:MOST_LISTED]:
        name = f"{Priority(one.priority).short} · {one.service}: {retold(one.title)}"
        yield Fact(name, _state(one, digest.written_at))
    more = len(found) - MOST_LISTED
    if more > 0:
        yield Fact(
            ngettext("and %(count)d more", "and %(count)d more", more)
            % {"count": more},
            _("See the incidents in the portal."),
        )


def _state(one: Trouble, now: datetime) -> str:
    since = wording.minute(one.started_at, now=now)
    if one.resolved_at is not None:
        return _("from %(since)s, lasted %(length)s") % {
            "since": since,
            "length": wording.duration(one.resolved_at - one.started_at),
        }
    if one.holder:
        return _("since %(since)s, %(name)s has it") % {
            "since": since,
            "name": one.holder,
        }
    return _("since %(since)s, nobody has it yet") % {"since": since}


def _moment(moment: datetime, digest: Digest) -> str:
    return wording.minute(moment, now=digest.written_at)


def _needs_a_look(card: Card) -> bool:
    return card.freshness != Freshness.OFF and standing.needs_a_look(card.standing)


def _rank(card: Card) -> int:
    return standing.rank(card.standing) if card.needs_a_look else 0
