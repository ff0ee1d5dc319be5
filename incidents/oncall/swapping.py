"""Swaps: one person asks another to be on call instead, and the other answers.

Nothing changes until the other accepts; then overrides say who has what.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from incidents.models import Override, Schedule, SwapRequest
from incidents.oncall import services
from incidents.oncall.acting import (
    UnableToChangeCalendar,
    checked_span,
    locked,
    present,
    when,
)
from incidents.oncall.telling import Letter, send
from notifications.message import Fact, Message, Tone
from notifications.models import Contact
from t4g_portal.lib.wording import minute_span

Status = SwapRequest.Status


class UnableToAskSwap(UnableToChangeCalendar):
    """It is not one's own shift, the other is absent, or has been asked already."""


class UnableToAnswerSwap(UnableToChangeCalendar):
    """It is answered or over already, is somebody else's, or the calendar has changed."""


def ask(
    *,
    schedule_id: int,
    asker_id: int,
    other_id: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    return_starts_at: datetime | None = None,
    return_ends_at: datetime | None = None,
    message: str = "",
) -> SwapRequest:
    """Ask somebody to be on call instead, perhaps for a shift of theirs in return.

    The asker must have all of the one stretch, the other all of the one in return.
    Raises UnableToAskSwap, Schedule.DoesNotExist, Contact.DoesNotExist.
    """
    if asker_id == other_id:
        raise UnableToAskSwap(_("That is you. Choose somebody else."))
    if (return_starts_at is None) != (return_ends_at is None):
        raise UnableToAskSwap(_("The shift in return needs a beginning and an end."))
    asker = Contact.objects.get(pk=asker_id)
    other = Contact.objects.get(pk=other_id)
    with locked(schedule_id, now) as schedule:
        deal = _Deal(
            schedule=schedule,
            asker=asker,
            other=other,
            starts_at=checked_span(
                starts_at=starts_at, ends_at=ends_at, now=now, error=UnableToAskSwap
            ),
            ends_at=ends_at,
            return_starts_at=return_starts_at,
            return_ends_at=return_ends_at,
        )
        _check(deal, now=now, error=UnableToAskSwap)
        try:
            with transaction.atomic():
                request = SwapRequest.objects.create(
                    schedule=schedule,
                    asker=asker,
                    other=other,
                    starts_at=deal.starts_at,
                    ends_at=ends_at,
                    return_starts_at=return_starts_at,
                    return_ends_at=return_ends_at,
                    message=_clean(message),
                    asked_at=now,
                )
        except IntegrityError as error:
            raise UnableToAskSwap(
                _("%(name)s has been asked already. Wait for the answer.")
                % {"name": other.name}
            ) from error
        _tell(request, other, now)
        return request


def accept(
    *,
    request_id: int,
    contact_id: int,
    now: datetime,
    user: User | None = None,
    answer: str = "",
) -> SwapRequest:
    """Accept what one was asked: from now on the calendar says so.

    Raises UnableToAnswerSwap, SwapRequest.DoesNotExist.
    """
    with _answering(request_id, now) as request:
        _refuse_strangers(request, contact_id, request.other_id)
        deal = _deal_of(request, now)
        _check(deal, now=now, error=UnableToAnswerSwap)
        for contact, starts_at, ends_at in deal.turns():
            services.put(
                schedule=request.schedule,
                contact=contact,
                starts_at=starts_at,
                ends_at=ends_at,
                kind=Override.Kind.SWAP,
                user=user,
                reason=request.message,
            )
        return _end(request, Status.ACCEPTED, now, answer=answer, tell=request.asker)


def decline(
    *, request_id: int, contact_id: int, now: datetime, answer: str = ""
) -> SwapRequest:
    """Decline what one was asked; raises UnableToAnswerSwap, SwapRequest.DoesNotExist."""
    with _answering(request_id, now) as request:
        _refuse_strangers(request, contact_id, request.other_id)
        return _end(request, Status.DECLINED, now, answer=answer, tell=request.asker)


def withdraw(*, request_id: int, contact_id: int, now: datetime) -> SwapRequest:
    """Take one's own question back; raises UnableToAnswerSwap, SwapRequest.DoesNotExist."""
    with _answering(request_id, now) as request:
        _refuse_strangers(request, contact_id, request.asker_id)
        return _end(request, Status.WITHDRAWN, now, tell=request.other)


def expire_due(*, now: datetime) -> int:
    """End the questions whose shift has ended unanswered; return how many."""
    ids = SwapRequest.objects.filter(status=Status.ASKED, ends_at__lte=now)
    count = 0
    for pk in ids.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            request = _locked_request(pk)
            if request.status == Status.ASKED:
                _end(request, Status.EXPIRED, now, tell=request.asker)
                count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Deal:
    """Who would have what."""

    schedule: Schedule
    asker: Contact
    other: Contact
    starts_at: datetime
    ends_at: datetime
    return_starts_at: datetime | None
    return_ends_at: datetime | None

    def turns(self) -> Iterator[tuple[Contact, datetime, datetime]]:
        """Yield who is on call when, if it is accepted."""
        yield self.other, self.starts_at, self.ends_at
        if self.return_starts_at is not None and self.return_ends_at is not None:
            yield self.asker, self.return_starts_at, self.return_ends_at


def _deal_of(request: SwapRequest, now: datetime) -> _Deal:
    return _Deal(
        schedule=request.schedule,
        asker=request.asker,
        other=request.other,
        # What has passed since is the asker's.
        starts_at=max(request.starts_at, now),
        ends_at=request.ends_at,
        return_starts_at=request.return_starts_at,
        return_ends_at=request.return_ends_at,
    )


def _check(deal: _Deal, *, now: datetime, error: type[UnableToChangeCalendar]) -> None:
    """Raise `error` unless each has what they give, and both can take what they get."""
    for contact, starts_at, ends_at in deal.turns():
        giver = deal.asker if contact == deal.other else deal.other
        begins = checked_span(
            starts_at=starts_at, ends_at=ends_at, now=now, error=error
        )
        if begins != starts_at:
            raise error(_("The shift in return has begun. Choose a later one."))
        if services.owners(deal.schedule.pk, starts_at, ends_at) != {giver.pk}:
            raise error(
                _("%(name)s isn't on call for all of %(when)s. Look at the calendar.")
                % {
                    "name": giver.name,
                    "when": when(deal.schedule, starts_at, ends_at, now),
                }
            )
        present(
            contact_id=contact.pk,
            starts_at=starts_at,
            ends_at=ends_at,
            schedule=deal.schedule,
            now=now,
            error=error,
        )


@contextmanager
def _answering(request_id: int, now: datetime) -> Iterator[SwapRequest]:
    schedule_id = SwapRequest.objects.values_list("schedule", flat=True).get(
        pk=request_id
    )
    with locked(schedule_id, now):
        request = _locked_request(request_id)
        if request.status != Status.ASKED:
            raise UnableToAnswerSwap(
                _("It is no longer open: %(status)s.")
                % {"status": request.get_status_display().lower()}
            )
        if request.ends_at <= now:
            raise UnableToAnswerSwap(_("The shift is over."))
        yield request


def _locked_request(request_id: int) -> SwapRequest:
    return (
        SwapRequest.objects.select_for_update(of=("self",))
        .select_related("schedule", "asker", "other")
        .defer("schedule__ical_url")
        .get(pk=request_id)
    )


def _refuse_strangers(request: SwapRequest, contact_id: int, owner_id: int) -> None:
    if contact_id != owner_id:
        raise UnableToAnswerSwap(_("Somebody else was asked."))


def _end(
    request: SwapRequest, status: str, now: datetime, *, tell: Contact, answer: str = ""
) -> SwapRequest:
    request.status = status
    request.ended_at = now
    request.answer = _clean(answer)
    request.save(update_fields=["status", "ended_at", "answer"])
    _tell(request, tell, now)
    return request


def _tell(request: SwapRequest, receiver: Contact, now: datetime) -> None:
    send(
        letters=[
            Letter(
                contact_id=receiver.pk,
                key=f"swap:{request.pk}:{request.status}:{receiver.pk}",
                write=lambda: _letter(request, now),
                time_zone=request.schedule.time_zone,
            )
        ],
        subject_key=f"swap:{request.pk}",
        now=now,
    )


def _letter(request: SwapRequest, now: datetime) -> Message:
    names = {"asker": request.asker.name, "other": request.other.name}
    titles: dict[str, tuple[str, Tone]] = {
        Status.ASKED: (_("%(asker)s asks you to be on call instead"), "warning"),
        Status.ACCEPTED: (_("%(other)s is on call instead of you"), "good"),
        Status.DECLINED: (_("%(other)s can't be on call instead of you"), "warning"),
        Status.WITHDRAWN: (_("%(asker)s no longer asks you to swap"), "calm"),
        Status.EXPIRED: (_("%(other)s has not answered your question"), "warning"),
    }
    title, tone = titles[request.status]
    facts = [
        Fact(label=_("Schedule"), value=request.schedule.name),
        Fact(
            label=_("Shift"),
            value=minute_span(request.starts_at, request.ends_at, now=now),
        ),
    ]
    if request.return_starts_at is not None and request.return_ends_at is not None:
        span = minute_span(request.return_starts_at, request.return_ends_at, now=now)
        facts.append(Fact(label=_("In return"), value=span))
    return Message(
        title=title % names,
        text=request.answer or request.message,
        tone=tone,
        facts=tuple(facts),
        url=f"{settings.PORTAL_URL}/on-call/",
        url_label=_("Open the calendar"),
        thread_key=f"swap:{request.pk}",
    )


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:500]
