"""Tells people in time: before what they vouch for lapses, and when a gate closes again.

Seven days and one day before an item, a waiver or the deadline of an open run ends; each
is said once (`Reminder`), in the transaction that writes the message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checklists import queries, reasons
from checklists.models import ChecklistRun, Reminder, RunItem
from checklists.queries import LoadedRun
from checklists.showing.states import in_language
from checklists.standing import ItemStanding, State
from incidents import sources
from incidents.collaboration import telling
from notifications.message import Fact, Message
from notifications.models import Contact
from notifications.services import UnableToEnqueue

logger = logging.getLogger(__name__)

PURPOSE = "checklist"
# Days before the end; the nearest one that has come is said.
MARKS = (1, 7)
# Nobody reads it earlier. A gate that closes is said at any hour.
FROM = time(9)
_MAX_LISTED = 20
_NEED_SIGNERS = frozenset({State.WAITING, State.STALE})

Kind = Reminder.Kind


@dataclass(frozen=True, slots=True)
class _Due:
    """Something to say about a run: what, why, and to whom it matters.

    `line` gives the words in the language that is active when it is called.
    """

    kind: str
    mark: str
    contacts: frozenset[int]
    users: frozenset[int]
    line: Callable[[], Fact]


def remind_due(*, now: datetime) -> int:
    """Say what is due about all open runs; return how many things were said.

    Each run in a transaction of its own; as often and in as many processes as anybody
    likes. Raises the database's errors, but one run that fails holds up no other.
    """
    count = 0
    opened = ChecklistRun.objects.filter(state=ChecklistRun.State.OPEN)
    for run_id in opened.order_by("-opened_at", "-pk").values_list("pk", flat=True):
        try:
            count += _remind(run_id, now)
        except Exception:
            logger.exception("nobody could be reminded of run %s", run_id)
    return count


def _remind(run_id: int, now: datetime) -> int:
    with transaction.atomic():
        # Before anything is judged: of two engines the second waits here, finds that all
        # is said, and sees the run as it is then.
        run = (
            ChecklistRun.objects.select_for_update(of=["self"], no_key=True)
            .filter(pk=run_id, state=ChecklistRun.State.OPEN)
            .first()
        )
        if run is None:
            return 0
        loaded = queries.load_run(run_id, now=now)
        known = list(run.reminders.order_by("pk").values_list("kind", "mark"))
        marks = {mark for _kind, mark in known}
        due = [one for one in _ending(loaded, now) if one.mark not in marks]
        due += _gate(loaded, [kind for kind, _mark in known])
        if not due:
            return 0
        told = _tell(loaded, due, now)
        Reminder.objects.bulk_create(
            Reminder(
                run=run, kind=one.kind, mark=one.mark, at=now, told_count=told[one.mark]
            )
            for one in due
        )
    return sum(one.kind != Kind.READY for one in due)


# --- What is due --------------------------------------------------------------------------


def _ending(loaded: LoadedRun, now: datetime) -> Iterator[_Due]:
    """Yield what ends within days and was not said yet; nothing before the morning."""
    if timezone.localtime(now, timezone.get_default_timezone()).time() < FROM:
        return
    run = loaded.run
    if run.deadline is not None:
        days = _days_before(run.deadline, run.opened_at, now)
        if days:
            yield _deadline(loaded, run.deadline, days)
    for one in loaded.standing.items:
        if not one.item.is_blocking or not one.passes or one.valid_until is None:
            continue
        item = loaded.item(one.key)
        if one.state is State.WAIVED:
            yield from _waiver(item, one, now)
        elif one.item.valid_for_s is not None:
            began_at = one.valid_until - timedelta(seconds=one.item.valid_for_s)
            days = _days_before(one.valid_until, began_at, now)
            if days:
                yield _old_item(item, one, one.valid_until, days)


def _days_before(ends_at: datetime, began_at: datetime, now: datetime) -> int:
    """Return the nearest mark that has come, in days; 0 for none.

    What lasts no longer than the mark is not reminded of at once when it begins.
    """
    for days in MARKS:
        if timedelta(0) < ends_at - now <= timedelta(days=days):
            return days if ends_at - began_at > timedelta(days=days) else 0
    return 0


def _deadline(loaded: LoadedRun, deadline: datetime, days: int) -> _Due:
    blocking = loaded.standing.blocking
    roles = {
        one.item.required_role
        for one in blocking
        if one.state in _NEED_SIGNERS and one.item.required_role
    }
    signers = User.objects.filter(groups__name__in=roles, is_active=True).distinct()
    return _Due(
        kind=Kind.DEADLINE,
        # It never moves; a new run has a new one.
        mark=f"deadline:days:{days}",
        contacts=_owners(loaded, blocking),
        users=_numbers(loaded.run.opened_by_id, *signers.values_list("pk", flat=True)),
        line=lambda: Fact(
            _("The run expires"),
            _("%(time)s\n%(blocking)s")
            % {"time": _moment(deadline), "blocking": _blocking_words(len(blocking))},
        ),
    )


def _old_item(item: RunItem, one: ItemStanding, ends_at: datetime, days: int) -> _Due:
    return _Due(
        kind=Kind.ITEM,
        # By the day: evidence that is looked at anew moves the minute.
        mark=f"item:{one.key}:{ends_at:%Y-%m-%d}:days:{days}",
        contacts=_numbers(item.owner_id),
        users=frozenset(sign.signer.user_id for sign in one.valid_signatures),
        line=lambda: Fact(
            in_language(item.title, item.title_fr),
            _("Counts until %(time)s. Bring new evidence and sign again.")
            % {"time": _moment(ends_at)},
        ),
    )


def _waiver(item: RunItem, one: ItemStanding, now: datetime) -> Iterator[_Due]:
    waiver = one.waiver
    if waiver is None:
        return
    days = _days_before(waiver.expires_at, waiver.requested_at, now)
    if not days:
        return
    yield _Due(
        kind=Kind.WAIVER,
        mark=f"waiver:{waiver.id}:days:{days}",
        contacts=_numbers(item.owner_id),
        users=_numbers(waiver.requested_by_id, waiver.approved_by_id),
        line=lambda: Fact(
            in_language(item.title, item.title_fr),
            _("Waived until %(time)s; then it blocks again.")
            % {"time": _moment(waiver.expires_at)},
        ),
    )


def _gate(loaded: LoadedRun, kinds: list[str]) -> list[_Due]:
    """Return that the gate has opened, or closed again, since it was noted last."""
    noted = [kind for kind in kinds if kind in {Kind.READY, Kind.CLOSED}]
    was_ready = bool(noted) and noted[-1] == Kind.READY
    if loaded.standing.is_ready == was_ready:
        return []
    number = len(noted)
    if loaded.standing.is_ready:
        nobody: frozenset[int] = frozenset()
        return [
            _Due(Kind.READY, f"ready:{number}", nobody, nobody, lambda: Fact("", ""))
        ]
    blocking = loaded.standing.blocking
    return [
        _Due(
            kind=Kind.CLOSED,
            mark=f"closed:{number}",
            contacts=_owners(loaded, blocking),
            users=_numbers(loaded.run.opened_by_id),
            line=lambda: Fact(
                _("The gate is closed again"), _blocking_lines(loaded, blocking)
            ),
        )
    ]


def _owners(loaded: LoadedRun, items: Iterable[ItemStanding]) -> frozenset[int]:
    return _numbers(*(loaded.item(one.key).owner_id for one in items))


def _numbers(*found: int | None) -> frozenset[int]:
    return frozenset(pk for pk in found if pk is not None)


# --- Telling ------------------------------------------------------------------------------


def _tell(loaded: LoadedRun, due: list[_Due], now: datetime) -> dict[str, int]:
    """Write one message a person; return how many people heard of each mark."""
    told = dict.fromkeys((one.mark for one in due), 0)
    for contact in _contacts(due):
        mine = [
            one
            for one in due
            if contact.pk in one.contacts or contact.user_id in one.users
        ]
        if mine and _tell_one(loaded, contact, mine, now):
            for one in mine:
                told[one.mark] += 1
    for one in due:
        if one.kind != Kind.READY and not told[one.mark]:
            logger.warning(
                "nobody can be told of %s of run %s", one.mark, loaded.run.pk
            )
    return told


def _contacts(due: list[_Due]) -> list[Contact]:
    numbers = {pk for one in due for pk in one.contacts}
    users = {pk for one in due for pk in one.users}
    found = Contact.objects.filter(pk__in=numbers) | Contact.objects.filter(
        user__in=users
    )
    return list(found.order_by("pk"))


def _tell_one(
    loaded: LoadedRun, contact: Contact, mine: list[_Due], now: datetime
) -> bool:
    # Each mark is said once, so the first one names the message.
    try:
        return telling.tell_contact(
            contact=contact,
            write=lambda _address: _message(loaded, mine, now),
            purpose=PURPOSE,
            subject_key=loaded.run.subject,
            key=f"{loaded.run.subject}:{mine[0].mark}",
            now=now,
        )
    except UnableToEnqueue:
        # The others must hear of it all the same.
        logger.warning("contact %s can't be reminded", contact.pk, exc_info=True)
        return False


def _message(loaded: LoadedRun, mine: list[_Due], now: datetime) -> Message:
    run = loaded.run
    is_closed = any(one.kind == Kind.CLOSED for one in mine)
    words = {
        "name": in_language(run.template_name, run.template_name_fr),
        "run": run.pk,
    }
    path = sources.url_of(run.subject)
    return Message(
        title=_("%(name)s #%(run)d: the gate is closed again") % words
        if is_closed
        else _("%(name)s #%(run)d: something ends soon") % words,
        text=_("%(service)s, %(environment)s, commit %(commit)s")
        % {
            "service": run.service.name,
            "environment": run.environment,
            "commit": run.git_sha[:10],
        },
        tone="warning" if is_closed else "calm",
        facts=tuple(one.line() for one in mine[:_MAX_LISTED]),
        url=f"{settings.PORTAL_URL}{path}",
        url_label=_("Open the run"),
    )


def _blocking_words(count: int) -> str:
    if not count:
        return _("Nothing blocks it.")
    return ngettext(
        "%(count)d item still blocks it.", "%(count)d items still block it.", count
    ) % {"count": count}


def _blocking_lines(loaded: LoadedRun, blocking: Iterable[ItemStanding]) -> str:
    lines = [reasons.words(reason) for reason in loaded.standing.reasons]
    for one in blocking:
        item = loaded.item(one.key)
        why = reasons.words(one.reasons[0]) if one.reasons else ""
        lines.append(
            f"{in_language(item.title, item.title_fr)}: {why}".removesuffix(": ")
        )
    return "\n".join(lines[:_MAX_LISTED])


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")
