"""Who is on call when, from a plan of plain values. Knows no rows and no clock.

The only place that works this out: engine, pages, API, feeds and simulator ask it
through `incidents.oncall.who`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from incidents.oncall import wall
from incidents.oncall.plan import Away, Layer, Plan, Shift, Why, WhyKind

# No answer looks further than this for the end of a gap or for who is next.
HORIZON = timedelta(days=400)
INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch that a source claims. Pieces of one `turn` that touch are one shift."""

    start: datetime
    end: datetime
    contact_id: int | None
    why: Why
    turn: datetime | None = None


def shifts(plan: Plan, start: datetime, end: datetime) -> tuple[Shift, ...]:
    """Return who is on call from `start` until before `end`, without a hole.

    Gaps are shifts of nobody. A shift ends with its turn, even when the same person
    has the next one; `joined` puts those together.
    """
    if start >= end:
        return ()
    open_: list[Span] = [(start, end)]
    pieces: list[_Piece] = []
    for source in _sources(plan, start, end):
        if not open_:
            break
        laid, open_ = _lay(source, open_)
        pieces += laid
    pieces += [_Piece(*span, None, Why(WhyKind.GAP)) for span in open_]
    pieces.sort(key=_start_of)
    return tuple(_merged(pieces))


def on_call_at(plan: Plan, at: datetime) -> Shift:
    """Return the whole shift at an instant; a gap is looked at for 400 days each way."""
    (point,) = shifts(plan, at, at + INSTANT)
    span = _span_of(plan, point, at)
    if span is not None:
        return _containing(shifts(_down_to(plan, point.why), *span), at)
    for days in (2, 14, 90, HORIZON.days):
        reach = timedelta(days=days)
        found = _containing(joined(shifts(plan, at - reach, at + reach)), at)
        if found.start > at - reach and found.end < at + reach:
            break
    return found


def next_shift(plan: Plan, at: datetime) -> Shift | None:
    """Return the first later shift of somebody who isn't on call at `at`; None: nobody's.

    Turns in a row count as one shift; time in which nobody has it is passed over.
    """
    return now_and_next(plan, at)[1]


def now_and_next(plan: Plan, at: datetime) -> tuple[Shift, Shift | None]:
    """Return who is on call from `at` on, turns in a row as one, and the `next_shift`.

    What has no end within 400 days is cut there.
    """
    # Long enough for most turns; the rest costs another look.
    for days in (16, 70, HORIZON.days):
        reach = at + timedelta(days=days)
        current, *later = joined(shifts(plan, at, reach))
        others = (
            one for one in later if one.contact_id not in {None, current.contact_id}
        )
        following = next(others, None)
        if following is not None and following.end < reach:
            break
    return current, following


def joined(found: Iterable[Shift]) -> tuple[Shift, ...]:
    """Return neighbors of the same person as one, with the reason of the first."""
    result: list[Shift] = []
    for shift in found:
        before = result[-1] if result else None
        if (
            before is not None
            and before.end == shift.start
            and before.contact_id == shift.contact_id
        ):
            result[-1] = replace(before, end=shift.end)
        else:
            result.append(shift)
    return tuple(result)


def _sources(plan: Plan, start: datetime, end: datetime) -> Iterator[list[_Piece]]:
    """Yield what each source claims, the strongest first; sorted, without overlaps."""
    aways = _aways(plan.aways, start, end)
    for cover in plan.covers:
        if cover.start < end and cover.end > start:
            why = Why(cover.kind, cover.reason, cover.id, cover.instead_of)
            piece = _Piece(cover.start, cover.end, cover.contact_id, why)
            yield list(_present(piece, aways))
    if plan.imported:
        yield _imported(plan, aways, start, end)
    for layer in plan.layers:
        if layer.contact_ids:
            found = [
                present
                for number, piece in _layer_pieces(plan, layer, start, end)
                for present in _with_stand_ins(number, piece, layer, aways)
            ]
            yield sorted(found, key=_start_of)


def _imported(
    plan: Plan, aways: dict[int, list[Span]], start: datetime, end: datetime
) -> list[_Piece]:
    """Return the imported shifts; where two overlap, the one that began first goes on."""
    pieces: list[_Piece] = []
    open_: list[Span] = [(start, end)]
    for one in sorted(plan.imported, key=lambda one: (one.start, one.id)):
        if one.start >= end or one.end <= start:
            continue
        why = Why(WhyKind.IMPORTED, one.summary, one.id)
        piece = _Piece(one.start, one.end, one.contact_id, why)
        # What lies before it is of no use to those that begin later either.
        open_ = [span for span in open_ if span[1] > one.start]
        laid, open_ = _lay(list(_present(piece, aways)), open_)
        pieces += laid
    return sorted(pieces, key=_start_of)


# --- Layers ---------------------------------------------------------------------------


def _layer_pieces(
    plan: Plan, layer: Layer, start: datetime, end: datetime
) -> Iterator[tuple[int, _Piece]]:
    """Yield the turns of a layer within its hours: number, and whose turn it is."""
    windows = _windows(plan, layer, start, end)
    why = Why(WhyKind.LAYER, layer.name, layer.id)
    window = next(windows, None)
    for number, (begins, ends) in _turns(plan, layer, start, end):
        contact_id = layer.contact_ids[number % len(layer.contact_ids)]
        while window is not None and window[0] < ends:
            low, high = max(begins, window[0]), min(ends, window[1])
            if low < high:
                yield number, _Piece(low, high, contact_id, why, turn=begins)
            if window[1] > ends:
                break
            window = next(windows, None)


def _turns(
    plan: Plan, layer: Layer, start: datetime, end: datetime
) -> Iterator[tuple[int, Span]]:
    """Yield number and span of the turns that touch a stretch of time."""
    number = max(0, _turn_number(plan, layer, start))
    closes = _closing(plan, layer)
    begins = _turn_start(plan, layer, number)
    while begins < min(end, closes or end):
        ends = _turn_start(plan, layer, number + 1)
        if closes is not None:
            ends = min(ends, closes)
        # A turn of an hour that the clock skips has no time.
        if begins < ends and ends > start:
            yield number, (begins, ends)
        number, begins = number + 1, ends


def _turn_number(plan: Plan, layer: Layer, at: datetime) -> int:
    """Return the number of the turn at an instant, negative before the first."""
    origin = datetime.combine(layer.starts_on, layer.handoff)
    number = (wall.shown(at, plan.zone) - origin) // layer.turn_length
    # The wall clock goes back once a year: the second 02:30 is after the first 03:00.
    while _turn_start(plan, layer, number + 1) <= at:
        number += 1
    while _turn_start(plan, layer, number) > at:
        number -= 1
    return number


def _turn_start(plan: Plan, layer: Layer, number: int) -> datetime:
    origin = datetime.combine(layer.starts_on, layer.handoff)
    return wall.first(origin + number * layer.turn_length, plan.zone)


def _closing(plan: Plan, layer: Layer) -> datetime | None:
    if layer.ends_on is None:
        return None
    return wall.last(datetime.combine(layer.ends_on, layer.handoff), plan.zone)


def _windows(
    plan: Plan, layer: Layer, start: datetime, end: datetime
) -> Iterator[Span]:
    """Yield the hours in which a layer holds, sorted, apart from each other."""
    if not layer.is_restricted:
        yield start, end
        return
    opens, until = layer.only_from or time.min, layer.only_until or time.min
    # The window of the day before may reach over midnight.
    day = wall.shown(start, plan.zone).date() - _DAY
    final = wall.shown(end, plan.zone).date()
    held: Span | None = None
    while day <= final:
        if not layer.weekdays or day.weekday() in layer.weekdays:
            last_day = day if until > opens else day + _DAY
            low = wall.first(datetime.combine(day, opens), plan.zone)
            high = wall.last(datetime.combine(last_day, until), plan.zone)
            if held is not None and low <= held[1]:
                held = (held[0], max(held[1], high))
            elif low < high:
                if held is not None:
                    yield held
                held = (low, high)
        day += _DAY
    if held is not None:
        yield held


def _with_stand_ins(
    number: int, piece: _Piece, layer: Layer, aways: dict[int, list[Span]]
) -> Iterator[_Piece]:
    """Yield a turn with the next of the rotation in it where its owner is away."""
    owner = piece.contact_id
    if owner not in aways:
        yield piece
        return
    seat = number % len(layer.contact_ids)
    # Each of them once, from the owner of this turn on.
    order = dict.fromkeys(layer.contact_ids[seat:] + layer.contact_ids[:seat])
    missing: list[Span] = [(piece.start, piece.end)]
    for contact_id in order:
        why = piece.why
        if contact_id != owner:
            why = replace(why, kind=WhyKind.ABSENCE, instead_of=owner)
        still: list[Span] = []
        for span in missing:
            here, gone = _split(span, aways.get(contact_id, []))
            still += gone
            for low, high in here:
                yield _Piece(low, high, contact_id, why, piece.turn)
        missing = still


# --- Absences -------------------------------------------------------------------------


def _aways(
    found: Iterable[Away], start: datetime, end: datetime
) -> dict[int, list[Span]]:
    """Return by contact when they are away, sorted."""
    spans: dict[int, list[Span]] = {}
    near = [one for one in found if one.start < end and one.end > start]
    for one in sorted(near, key=lambda one: one.start):
        spans.setdefault(one.contact_id, []).append((one.start, one.end))
    return spans


def _present(piece: _Piece, aways: dict[int, list[Span]]) -> Iterator[_Piece]:
    away = aways.get(piece.contact_id or 0)
    if not away:
        yield piece
        return
    for low, high in _split((piece.start, piece.end), away)[0]:
        yield replace(piece, start=low, end=high)


def _split(span: Span, away: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Return the parts of a span outside and inside of some sorted spans."""
    outside, inside = [], []
    at, end = span
    for low, high in away:
        low, high = max(low, at), min(high, end)
        if low >= high:
            continue
        if at < low:
            outside.append((at, low))
        inside.append((low, high))
        at = high
    if at < end:
        outside.append((at, end))
    return outside, inside


# --- Laying one over the other --------------------------------------------------------


def _lay(
    source: Sequence[_Piece], open_: Sequence[Span]
) -> tuple[list[_Piece], list[Span]]:
    """Put a source's pieces where nobody is yet; return them and what is still open."""
    laid: list[_Piece] = []
    left: list[Span] = []
    at = 0
    for low, high in open_:
        while at < len(source) and source[at].end <= low:
            at += 1
        here = at
        while here < len(source) and source[here].start < high:
            piece = source[here]
            begins, ends = max(low, piece.start), min(high, piece.end)
            if low < begins:
                left.append((low, begins))
            laid.append(replace(piece, start=begins, end=ends))
            low = ends
            here += 1
        if low < high:
            left.append((low, high))
    return laid, left


def _start_of(piece: _Piece) -> datetime:
    return piece.start


def _merged(pieces: Iterable[_Piece]) -> Iterator[Shift]:
    held: _Piece | None = None
    for piece in pieces:
        if (
            held is not None
            and held.end == piece.start
            and (held.contact_id, held.why, held.turn)
            == (piece.contact_id, piece.why, piece.turn)
        ):
            held = replace(held, end=piece.end)
            continue
        if held is not None:
            yield Shift(held.start, held.end, held.contact_id, held.why)
        held = piece
    if held is not None:
        yield Shift(held.start, held.end, held.contact_id, held.why)


def _containing(found: Sequence[Shift], at: datetime) -> Shift:
    return next(shift for shift in found if shift.start <= at < shift.end)


def _down_to(plan: Plan, why: Why) -> Plan:
    """Return a plan without what is weaker than the source of a shift: it can't cut it."""
    if why.kind in {WhyKind.LAYER, WhyKind.ABSENCE}:
        ids = [layer.id for layer in plan.layers]
        return replace(plan, layers=plan.layers[: ids.index(why.source_id or 0) + 1])
    if why.kind is WhyKind.IMPORTED:
        return replace(plan, layers=())
    return replace(plan, layers=(), imported=())


def _span_of(plan: Plan, point: Shift, at: datetime) -> Span | None:
    """Return a stretch that holds the whole shift of an instant; None for a gap."""
    why = point.why
    if why.kind in {WhyKind.LAYER, WhyKind.ABSENCE}:
        layer = next(layer for layer in plan.layers if layer.id == why.source_id)
        number = _turn_number(plan, layer, at)
        begins = _turn_start(plan, layer, number)
        return begins, _turn_start(plan, layer, number + 1)
    spans: Iterable[Span] = ()
    if why.kind is WhyKind.IMPORTED:
        spans = ((o.start, o.end) for o in plan.imported if o.id == why.source_id)
    elif why.kind is not WhyKind.GAP:
        spans = ((c.start, c.end) for c in plan.covers if c.id == why.source_id)
    return next(iter(spans), None)
