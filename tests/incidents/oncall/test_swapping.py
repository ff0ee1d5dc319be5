"""Asking, accepting, declining."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from incidents.models import Override, SwapRequest
from incidents.oncall import services, swapping, who
from notifications.models import Notification
from tests.factories import make_contact
from tests.incidents.oncall.making import (
    MONDAY,
    make_absence,
    make_schedule,
    reachable,
)

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return [reachable(make_contact(name=name)) for name in ("Ana", "Bo", "Cleo")]


@pytest.fixture
def schedule(people):
    return make_schedule(*people, name="On call")


def ask(schedule, asker, other, start=MONDAY + 24 * HOUR, hours=10, **rest):
    return swapping.ask(
        schedule_id=schedule.pk,
        asker_id=asker.pk,
        other_id=other.pk,
        starts_at=start,
        ends_at=start + hours * HOUR,
        now=rest.pop("now", MONDAY),
        **rest,
    )


def told() -> list[str]:
    rows = Notification.objects.order_by("pk").select_related("address__contact")
    return [f"{row.address.contact.name}: {row.message['title']}" for row in rows]  # type: ignore[union-attr]


def test_accepting_changes_the_calendar_and_tells_the_asker(schedule, people, settings):
    settings.PORTAL_LANGUAGE = "en"
    ana, bo, _cleo = people
    request = ask(schedule, ana, bo, message="Dentist")
    at = request.starts_at
    assert who.on_call(schedule_id=schedule.pk, at=at).contact_id == ana.pk

    swapping.accept(request_id=request.pk, contact_id=bo.pk, now=MONDAY + HOUR)

    shift = who.on_call(schedule_id=schedule.pk, at=at)
    assert (shift.contact_id, shift.why.kind, shift.why.instead_of) == (
        bo.pk,
        "swap",
        ana.pk,
    )
    assert told() == [
        "Bo: Ana asks you to be on call instead",
        "Ana: Bo is on call instead of you",
    ]


def test_a_shift_in_return_is_swapped_too(schedule, people):
    ana, bo, _cleo = people
    request = ask(
        schedule,
        ana,
        bo,
        return_starts_at=MONDAY + WEEK,
        return_ends_at=MONDAY + WEEK + HOUR,
    )

    swapping.accept(request_id=request.pk, contact_id=bo.pk, now=MONDAY)

    assert who.on_call(schedule_id=schedule.pk, at=MONDAY + WEEK).contact_id == ana.pk
    assert Override.objects.count() == 2


def test_declining_changes_nothing_but_the_answer(schedule, people):
    ana, bo, _cleo = people
    request = ask(schedule, ana, bo)

    swapping.decline(request_id=request.pk, contact_id=bo.pk, now=MONDAY, answer="No.")

    request.refresh_from_db()
    assert (request.status, request.answer) == ("declined", "No.")
    assert not Override.objects.exists()
    with pytest.raises(swapping.UnableToAnswerSwap, match="no longer open: declined"):
        swapping.accept(request_id=request.pk, contact_id=bo.pk, now=MONDAY)


def test_only_the_one_asked_answers_and_only_the_asker_withdraws(schedule, people):
    ana, bo, cleo = people
    request = ask(schedule, ana, bo)
    for act, contact in (
        (swapping.accept, cleo),
        (swapping.decline, ana),
        (swapping.withdraw, bo),
    ):
        with pytest.raises(swapping.UnableToAnswerSwap, match="Somebody else"):
            act(request_id=request.pk, contact_id=contact.pk, now=MONDAY)

    swapping.withdraw(request_id=request.pk, contact_id=ana.pk, now=MONDAY)

    assert SwapRequest.objects.get().status == "withdrawn"


def test_what_is_not_one_s_own_can_not_be_swapped(schedule, people):
    ana, bo, _cleo = people
    with pytest.raises(swapping.UnableToAskSwap, match="Bo isn't on call for all of"):
        ask(schedule, bo, ana)
    with pytest.raises(swapping.UnableToAskSwap, match="That is you"):
        ask(schedule, ana, ana)
    make_absence(bo, MONDAY + 25 * HOUR, 1)
    with pytest.raises(swapping.UnableToAskSwap, match="Bo is absent"):
        ask(schedule, ana, bo)


def test_same_question_is_asked_once(schedule, people):
    ana, bo, _cleo = people
    ask(schedule, ana, bo)
    with pytest.raises(swapping.UnableToAskSwap, match="asked already"):
        ask(schedule, ana, bo)


def test_calendar_that_changed_meanwhile_is_looked_at_again(schedule, people):
    ana, bo, cleo = people
    request = ask(schedule, ana, bo)
    services.take(
        schedule_id=schedule.pk,
        contact_id=cleo.pk,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        now=MONDAY,
    )

    with pytest.raises(swapping.UnableToAnswerSwap, match="Ana isn't on call for all"):
        swapping.accept(request_id=request.pk, contact_id=bo.pk, now=MONDAY)


def test_unanswered_question_expires_with_its_shift(schedule, people):
    request = ask(schedule, people[0], people[1])

    assert swapping.expire_due(now=request.ends_at - HOUR) == 0
    assert swapping.expire_due(now=request.ends_at) == 1
    assert swapping.expire_due(now=request.ends_at) == 0

    assert SwapRequest.objects.get().status == "expired"


@pytest.mark.django_db(transaction=True)
def test_accepting_twice_at_once_swaps_once():
    ana, bo = make_contact(name="Ana"), make_contact(name="Bo")
    schedule = make_schedule(ana, bo)
    request = ask(schedule, ana, bo)
    outcomes: list[str] = []
    both = threading.Barrier(2)

    def accept() -> None:
        both.wait()
        try:
            swapping.accept(request_id=request.pk, contact_id=bo.pk, now=MONDAY)
            outcomes.append("accepted")
        except swapping.UnableToAnswerSwap:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=accept) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["accepted", "refused"]
    assert Override.objects.count() == 1
