"""Brings other calendars in, and keeps the last good copy of each.

An error page, an empty answer or a broken file changes nothing. A calendar that has
nobody any more for more than half of its coming shifts waits for somebody to say that it
is meant; one that leaves a gap is taken, and somebody is told at once.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

import httpx
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from incidents.models import ImportedShift, Schedule, ScheduleState
from incidents.oncall import recording, who
from incidents.oncall.acting import gap_sentences
from incidents.oncall.hours import merge
from incidents.oncall.ical import ForeignEvent, UnableToReadCalendar, read_events
from incidents.oncall.telling import Letter, send
from notifications.message import Fact, Message
from notifications.models import Address, Contact
from notifications.routing import catch_all_id
from notifications.validation import url_problem
from t4g_portal.lib.egress import BlockedAddress, guarded_client

logger = logging.getLogger(__name__)

TIMEOUT_S = 20.0
MAX_BYTES = 2 * 1024 * 1024
MAX_REDIRECTS = 3
# One tick fetches for so long; the rest comes first at the next.
BUDGET_S = 180.0
_PAST, _FUTURE = timedelta(days=1), timedelta(days=400)
# Somebody is told after so many failures in a row.
_TELL_AFTER = 4


class UnableToImport(Exception):
    """The calendar can't be had or read; the last good copy stays. The text says why."""


@dataclass(frozen=True, slots=True)
class _Shift:
    contact_id: int
    starts_at: datetime
    ends_at: datetime
    summary: str


def import_all(*, now: datetime) -> int:
    """Fetch the calendars of all schedules that have one; return how many came in.

    One that fails says so on its state and stops no other.
    """
    began = datetime.now(now.tzinfo)
    rows = (
        Schedule.objects.exclude(ical_url="")
        .order_by("state__fetched_at", "pk")
        .values_list("pk", flat=True)
    )
    count = 0
    for schedule_id in rows:
        if (datetime.now(now.tzinfo) - began).total_seconds() > BUDGET_S:
            break
        try:
            import_one(schedule_id=schedule_id, now=now)
            count += 1
        except UnableToImport as error:
            logger.info("calendar of schedule %s: %s", schedule_id, error)
        except Exception:
            logger.exception("calendar of schedule %s failed", schedule_id)
    return count


def import_one(*, schedule_id: int, now: datetime, is_meant: bool = False) -> None:
    """Fetch one calendar and adopt it.

    `is_meant` adopts it even when it loses most of its shifts. The request is made
    outside of any transaction. Raises UnableToImport, Schedule.DoesNotExist.
    """
    schedule = Schedule.objects.get(pk=schedule_id)
    zone = ZoneInfo(schedule.time_zone)
    try:
        content = _fetch(schedule.ical_url)
        events = read_events(
            content=content, zone=zone, start=now - _PAST, end=now + _FUTURE
        )
    except (UnableToImport, UnableToReadCalendar) as error:
        _note_failure(schedule, str(error), now)
        raise UnableToImport(str(error)) from error
    shifts, strangers = _matched(events, _people())
    _adopt(schedule, shifts, strangers, now, is_meant=is_meant)


def _fetch(url: str) -> bytes:
    until = monotonic() + TIMEOUT_S
    for _hop in range(MAX_REDIRECTS + 1):
        problem = url_problem(url) if url else _("There is no address to import from.")
        if problem:
            raise UnableToImport(problem)
        try:
            with (
                guarded_client(timeout_s=TIMEOUT_S, may_use_private=True) as client,
                client.stream(
                    "GET", url, headers={"Accept": "text/calendar, */*;q=0.1"}
                ) as response,
            ):
                if response.next_request is None:
                    return _body(response, until)
                url = str(response.next_request.url)
        except BlockedAddress as error:
            raise UnableToImport(
                _(
                    "%(reason)s. List its network in EGRESS_ALLOWED_NETWORKS to allow it."
                )
                % {"reason": error}
            ) from None
        except httpx.TimeoutException:
            raise UnableToImport(
                _("No answer within %(seconds)d s.") % {"seconds": TIMEOUT_S}
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its text may hold the address, which is secret.
            raise UnableToImport(
                _("The connection failed: %(reason)s")
                % {"reason": type(error).__name__}
            ) from None
    raise UnableToImport(_("The address leads on and on. Enter where it ends."))


def _body(response: httpx.Response, until: float) -> bytes:
    if response.status_code != 200:
        raise UnableToImport(
            _("The answer is HTTP %(status)d instead of a calendar.")
            % {"status": response.status_code}
        )
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if monotonic() > until:
            # Whoever sends a byte now and then never runs into the client's timeout.
            raise httpx.ReadTimeout("too slow", request=response.request)
        if len(content) > MAX_BYTES:
            raise UnableToImport(_("The calendar is larger than 2 MiB."))
    return content


def _people() -> dict[str, int]:
    """Return contacts by every name and e-mail address that can mean them."""
    people: dict[str, int] = {}
    emails = Address.objects.filter(kind="email").order_by("pk")
    # Whoever has proved an address goes before who only says that it is theirs.
    for rows in (emails.verified(), emails):
        for value, pk in rows.values_list("value", "contact"):
            people.setdefault(value.lower(), pk)
    for name, username, pk in Contact.objects.values_list(
        "name", "user__username", "pk"
    ):
        people[name.casefold()] = pk
        if username:
            people.setdefault(username.casefold(), pk)
    return people


def _matched(
    events: Sequence[ForeignEvent], people: Mapping[str, int]
) -> tuple[list[_Shift], list[str]]:
    """Return the shifts of people we know, and the names of events of the others."""
    shifts, strangers = [], []
    longest_first = sorted(people, key=len, reverse=True)
    for event in events:
        contact_id = _person(event, people, longest_first)
        if contact_id is None:
            strangers.append(event.summary or ", ".join(event.emails))
        else:
            shifts.append(_Shift(contact_id, event.start, event.end, event.summary))
    return shifts, sorted(set(strangers))[:20]


def _person(
    event: ForeignEvent, people: Mapping[str, int], longest_first: Sequence[str]
) -> int | None:
    for email in event.emails:
        if email in people:
            return people[email]
    summary = _words(event.summary)
    for name in longest_first:
        words = _words(name)
        if words.strip() and words in summary:
            return people[name]
    return None


def _words(text: str) -> str:
    """Return text as words between spaces, so that "Ana" isn't found in "Anatole"."""
    text = unicodedata.normalize("NFC", text).casefold()
    kept = "".join(c if c.isalnum() or c in "@._-" else " " for c in text)
    return f" {' '.join(kept.split())} "


def _adopt(
    schedule: Schedule,
    shifts: Sequence[_Shift],
    strangers: list[str],
    now: datetime,
    *,
    is_meant: bool,
) -> None:
    digest = hashlib.sha256(repr(sorted(map(repr, shifts))).encode()).hexdigest()
    with transaction.atomic():
        # The address may have changed while the old one was fetched.
        if Schedule.objects.select_for_update().get(pk=schedule.pk).ical_url != (
            schedule.ical_url
        ):
            return
        recording.record(schedule_ids=[schedule.pk], now=now)
        state = ScheduleState.objects.select_for_update().get(pk=schedule.pk)
        before = who.plan_of([schedule.pk], since=now)
        lost = _lost_count(schedule, shifts, now)
        is_held = lost > 0 and not is_meant
        if is_held:
            is_news = state.held_digest != digest
            state.held_digest, state.held_lost_count = digest, lost
        else:
            is_news = False
            state.held_digest, state.held_lost_count = "", 0
            if state.digest != digest:
                _replace(schedule, shifts)
                state.digest = digest
        state.strangers = strangers
        state.fetched_at, state.error, state.failure_count = now, "", 0
        state.save()
        if is_news:
            _tell(
                schedule,
                now,
                key=f"import:{schedule.pk}:held:{digest[:16]}",
                words=lambda: (
                    _("The imported calendar of %(schedule)s loses its shifts"),
                    _(
                        "It lost %(count)d coming shifts, more than half. The last copy"
                        " stays in use until somebody adopts the new one in the admin."
                    )
                    % {"count": lost},
                ),
            )
        after = who.plan_of([schedule.pk], since=now)
        if gap_sentences(before, after, now):
            _tell(
                schedule,
                now,
                key=f"import:{schedule.pk}:gap:{digest[:16]}",
                words=lambda: (
                    _("The imported calendar of %(schedule)s leaves a gap"),
                    "\n".join(gap_sentences(before, after, now)),
                ),
            )


def _lost_count(schedule: Schedule, shifts: Sequence[_Shift], now: datetime) -> int:
    """Return how many coming shifts have nobody now, when that is more than half; 0 else.

    A shift that moved or went to somebody else is not lost.
    """
    coming = ImportedShift.objects.filter(schedule=schedule, ends_at__gt=now)
    spans = list(coming.values_list("starts_at", "ends_at"))
    held = merge((shift.starts_at, shift.ends_at) for shift in shifts)
    starts = [start for start, _end in held]
    lost = 0
    for start, end in spans:
        # The last of the others that begins before this one ends.
        at = bisect_left(starts, end) - 1
        lost += at < 0 or held[at][1] <= start
    return lost if lost * 2 > len(spans) else 0


def _replace(schedule: Schedule, shifts: Sequence[_Shift]) -> None:
    ImportedShift.objects.filter(schedule=schedule).delete()
    ImportedShift.objects.bulk_create(
        ImportedShift(
            schedule=schedule,
            contact_id=shift.contact_id,
            starts_at=shift.starts_at,
            ends_at=shift.ends_at,
            summary=shift.summary,
        )
        for shift in shifts
    )


def _note_failure(schedule: Schedule, why: str, now: datetime) -> None:
    with transaction.atomic():
        recording.record(schedule_ids=[schedule.pk], now=now)
        state = ScheduleState.objects.select_for_update().get(pk=schedule.pk)
        state.failed_at, state.error = now, why
        state.failure_count += 1
        state.save(update_fields=["failed_at", "error", "failure_count"])
        if state.failure_count == _TELL_AFTER:
            since = state.fetched_at.isoformat() if state.fetched_at else "never"
            _tell(
                schedule,
                now,
                key=f"import:{schedule.pk}:failed:{since}",
                words=lambda: (
                    _("The calendar of %(schedule)s can't be imported"),
                    _("The last copy stays in use. %(why)s") % {"why": why},
                ),
            )


def _tell(
    schedule: Schedule, now: datetime, *, key: str, words: Callable[[], tuple[str, str]]
) -> None:
    """Write to the one who is told when nobody else is; `words`: title and text."""
    contact_id = catch_all_id()
    if contact_id is None:
        return

    def written() -> Message:
        title, text = words()
        return Message(
            title=title % {"schedule": schedule.name},
            text=text,
            tone="warning",
            facts=(Fact(label=_("Schedule"), value=schedule.name),),
            url=f"{settings.PORTAL_URL}/admin/incidents/schedule/{schedule.pk}/change/",
            url_label=_("Open the schedule"),
        )

    letter = Letter(
        contact_id=contact_id,
        key=key,
        write=written,
        time_zone=schedule.time_zone,
    )
    send(letters=[letter], subject_key=f"schedule:{schedule.pk}", now=now)
