"""What people do with KPIs. The only writer of what they leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from incidents import people
from kpis import asking, buckets, collecting, storing, versions
from kpis.buckets import Bucket
from kpis.collecting import SourceBusy
from kpis.models import (
    Backfill,
    DataSource,
    Kpi,
    KpiNote,
    KpiPoint,
    KpiRun,
    KpiState,
)
from kpis.models.kpi import CALCULATED
from kpis.readers import clock_from
from kpis.reading import Reading, UnableToRead, number_of
from kpis.sources import checking
from kpis.storing import Answers, NewPoint
from t4g_portal.lib.zones import YEARS

MAX_BACKFILL = 50_000
MAX_NOTE = 300


class UnableToAct(Exception):
    """Nothing was done; the message says to a person why, and what to do."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What a definition gives now, without anything stored.

    `value` is None when there is none; `reason` says why. `sample`: the JSON that an
    HTTP source answered with. `detail`: what the source itself said.
    """

    bucket: Bucket
    value: Decimal | None
    took_ms: float
    reason: str = ""
    detail: str = ""
    sample: Any = None


def run_now(*, kpi: Kpi, user: User, now: datetime) -> KpiRun:
    """Collect a KPI at once, for somebody who waits; outside a transaction.

    A failure of the source is the run's outcome, no error. Raises UnableToAct.
    """
    if kpi.source.is_manual:
        raise UnableToAct(_("Its values are entered by hand. Enter one instead."))
    if not kpi.source.is_enabled:
        raise UnableToAct(_("Its data source is switched off. Enable it first."))
    try:
        return collecting.run_now(kpi_id=kpi.pk, user=user, now=now)
    except SourceBusy as error:
        raise _busy() from error


def test(*, kpi_values: Mapping[str, Any], user: User, now: datetime) -> Tested:
    """Try a definition on its newest period that can be asked for; store no point.

    `kpi_values`: the fields of a KPI, saved or not, with its `source`; checked already.
    Outside a transaction. Raises UnableToAct.
    """
    source: DataSource = kpi_values["source"]
    if source.is_manual:
        raise UnableToAct(_("Its values are entered by hand: there is nothing to ask."))
    draft = Kpi(
        **{
            name: kpi_values[name]
            for name in (*CALCULATED, "lateness_s")
            if name in kpi_values
        }
    )
    draft.source = source
    shape = buckets.Shape(grain=draft.grain, window=draft.window, zone=draft.time_zone)
    bucket = (
        buckets.last_complete(shape, now, timedelta(seconds=draft.lateness_s))
        if asking.can_look_back(source.kind)
        else buckets.at(shape, now)
    )
    clock = clock_from(now)
    try:
        lease = collecting.take_patiently(source_id=source.pk, clock=clock)
    except SourceBusy as error:
        raise _busy() from error
    try:
        lease.prolong(until=now + timedelta(seconds=2 * source.timeout_s + 60))
        answers = _asked(source, versions.calculation(draft), bucket, now)
    finally:
        lease.release()
    _log_test(kpi_values.get("id"), answers, user, now, clock())
    if answers.read:
        [(_bucket, reading)] = answers.read
        return Tested(
            bucket=bucket,
            value=reading.value,
            took_ms=reading.took_ms,
            sample=reading.sample,
        )
    [(_bucket, failure)] = answers.missed
    took_ms = (clock() - now) / timedelta(milliseconds=1)
    return Tested(
        bucket=bucket,
        value=None,
        took_ms=took_ms,
        reason=failure.message,
        detail=failure.detail,
    )


def enter_value(
    *, kpi: Kpi, start: datetime, value: Decimal, user: User, now: datetime
) -> KpiPoint:
    """Enter the value of the period that `start` lies in; a second one replaces it.

    Raises UnableToAct for a KPI that is collected, and for a period that has not begun.
    """
    if not kpi.source.is_manual:
        raise UnableToAct(_("Its values are collected. Nobody enters them by hand."))
    if start > now:
        raise UnableToAct(_("That period has not begun yet. Choose an earlier one."))
    if start.year not in YEARS:
        raise UnableToAct(_("That is too long ago. Choose a later period."))
    try:
        number = number_of(value)
    except UnableToRead as error:
        raise UnableToAct(_("Enter a number of at most 20 digits.")) from error
    collecting.prepare(now=now)
    with transaction.atomic():
        version = versions.current(kpi, now=now, user=user)
        bucket = buckets.at(versions.shape_of(version), start)
        is_complete = bucket.end <= now
        answers = Answers(read=[(bucket, Reading(value=number, took_ms=0))])
        run = storing.store_run(
            kpi=kpi,
            version=version,
            trigger=KpiRun.Trigger.MANUAL,
            answers=answers,
            point_count=1,
            sql_sha256="",
            parameters={
                "start": bucket.start.isoformat(),
                "end": bucket.end.isoformat(),
            },
            started_at=now,
            finished_at=now,
            user=user,
        )
        storing.store_points(
            version=version,
            points=[NewPoint(bucket, number, is_complete)],
            at=now,
            run=run,
            user=user,
        )
        if is_complete:
            storing.record_series(kpi=kpi, values=[(bucket.end, number)], now=now)
        KpiState.objects.filter(kpi=kpi).update(
            last_ok_at=now, last_reason="", last_message=""
        )
        return KpiPoint.objects.get(version=version, start=bucket.start)


def start_backfill(
    *, kpi: Kpi, since: datetime, until: datetime, user: User, now: datetime
) -> Backfill:
    """Ask for past periods, from the one that `since` lies in up to `until`.

    The present period is left to the collection. Raises UnableToAct.
    """
    if not asking.can_look_back(kpi.source.kind):
        raise UnableToAct(
            _("Its data source knows only the present: its past can't be read.")
        )
    if since.year not in YEARS:
        raise UnableToAct(_("That is too long ago. Choose a later period."))
    with transaction.atomic():
        version = versions.current(kpi, now=now, user=user)
        shape = versions.shape_of(version)
        current = buckets.at(shape, now)
        until = min(until, current.start)
        if since >= until:
            raise UnableToAct(
                _("There is no whole period in that time. Go back further.")
            )
        most = timedelta(seconds=MAX_BACKFILL * buckets.LONGEST_S[shape.grain])
        if until - since > most:
            raise UnableToAct(_too_many())
        wanted = buckets.between(shape, since, until)
        if len(wanted) > MAX_BACKFILL:
            raise UnableToAct(_too_many())
        try:
            with transaction.atomic():
                return Backfill.objects.create(
                    kpi=kpi,
                    version=version,
                    since=wanted[0].start,
                    until=wanted[-1].end,
                    next_start=wanted[0].start,
                    total_count=len(wanted),
                    requested_by=user,
                    requested_by_name=people.name(user=user),
                    created_at=now,
                )
        except IntegrityError as error:
            raise UnableToAct(
                _("Its past is being read already. Wait for the end, or cancel it.")
            ) from error


def cancel_backfill(*, backfill: Backfill, now: datetime) -> bool:
    """End a backfill; what was read stays. False when it had ended already."""
    return bool(
        Backfill.objects.filter(pk=backfill.pk, status__in=Backfill.ACTIVE).update(
            status=Backfill.Status.CANCELLED, finished_at=now
        )
    )


def add_note(
    *, kpi: Kpi | None, at: datetime, text: str, user: User, now: datetime
) -> KpiNote:
    """Write a note beside a moment, of one KPI or of all. Raises UnableToAct."""
    text = " ".join(text.replace("\0", "").split())
    if not text or len(text) > MAX_NOTE:
        raise UnableToAct(
            _("Write a note of 1 to %(most)d characters.") % {"most": MAX_NOTE}
        )
    return KpiNote.objects.create(
        kpi=kpi,
        at=at,
        text=text,
        author=user,
        author_name=people.name(user=user),
        created_at=now,
    )


def definition_saved(*, kpi: Kpi, user: User | None, now: datetime) -> None:
    """Note a new way of computing, and let it be collected at once."""
    versions.current(kpi, now=now, user=user)
    collecting.prepare(now=now)
    collecting.wake(kpi_ids=[kpi.pk], now=now)


def _asked(
    source: DataSource, calculation: Mapping[str, Any], bucket: Bucket, now: datetime
) -> Answers:
    try:
        checking.demand_safe(source=source, now=now)
        question = asking.question_for(source=source, calculation=calculation)
        return collecting.read(question=question, asked=[bucket], now=now)
    except UnableToRead as error:
        return Answers(missed=[(bucket, error)])


def _log_test(
    kpi_id: int | None,
    answers: Answers,
    user: User,
    now: datetime,
    finished_at: datetime,
) -> None:
    """A test of a saved KPI stands in its run log, so that nobody asks in secret."""
    kpi = Kpi.objects.filter(pk=kpi_id).first() if kpi_id else None
    if kpi is not None:
        storing.store_run(
            kpi=kpi,
            version=None,
            trigger=KpiRun.Trigger.TEST,
            answers=answers,
            point_count=0,
            sql_sha256="",
            parameters={},
            started_at=now,
            finished_at=finished_at,
            user=user,
        )


def _busy() -> UnableToAct:
    return UnableToAct(
        _("Its data source is being read right now. Try again in a moment.")
    )


def _too_many() -> str:
    return _("That is more than %(most)d periods. Take a part of it.") % {
        "most": MAX_BACKFILL
    }
