"""Which provider carries a message, and what follows when it doesn't."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications import services
from notifications.delivery import deliver_due, deliver_one, try_provider
from notifications.methods import usable_methods
from notifications.models import Attempt, Notification, Provider, ProviderState
from notifications.providers import Move, next_move, reachable_carriers
from notifications.services import UnableToEnqueue
from notifications.transports import ovh as ovh_api
from tests.factories import make_contact, make_user
from tests.notifications.making import (
    PHONE,
    details,
    make_message,
    make_notification,
    make_ovh,
    make_sms_channel,
    make_twilio,
    outcomes,
    reread,
)
from tests.notifications.vendors import Mood

pytestmark = pytest.mark.django_db
PAGING = Notification.Lane.PAGING


@pytest.fixture(autouse=True)
def _their_clock_is_unknown():
    ovh_api._clocks._known.clear()


def vias(notification):
    attempts = Attempt.objects.filter(notification=notification).order_by("pk")
    return list(attempts.values_list("via", flat=True))


def page(now, **values):
    values.setdefault("channel", make_sms_channel())
    return make_notification(now=now, lane=PAGING, **values)


def test_the_first_by_order_carries(now, twilio, ovh):
    make_ovh(position=2)
    make_twilio(position=1)
    row = page(now)

    deliver_due(now=now)

    assert reread(row).status == "sent"
    assert len(twilio.messages) == 1
    assert ovh.jobs == []
    assert vias(row) == ["Twilio"]


@pytest.mark.parametrize(
    "mood",
    [
        Mood(401, {"code": 20003, "message": "Authenticate"}),
        Mood(403, {"message": "no"}),
        Mood(400, {"code": 21608, "message": "trial"}),
        Mood(500, None),
        Mood(503, None, {"Retry-After": "30"}),
        Mood(429, {"code": 20429, "message": "Too many"}),
    ],
    ids=lambda mood: str(mood.status),
)
def test_a_hard_failure_goes_to_the_next_provider_at_once(now, twilio, ovh, mood):
    make_twilio()
    make_ovh()
    twilio.moods.append(mood)
    row = page(now)

    summary = deliver_due(now=now)

    assert reread(row).status == "sent"
    assert len(ovh.jobs) == 1
    assert vias(row) == ["Twilio", "OVHcloud"]
    assert summary.sent == 1


def test_a_dead_provider_is_asked_last_for_a_while(now, settings, ovh):
    settings.TWILIO_API_URL = "http://127.0.0.1:9"
    make_twilio()
    make_ovh()
    first, second = page(now), page(now)

    deliver_due(now=now)
    third = page(now + timedelta(seconds=3))
    deliver_due(now=now + timedelta(seconds=3))

    assert len(ovh.jobs) == 3
    assert vias(third) == ["OVHcloud"]
    assert {vias(first)[-1], vias(second)[-1]} == {"OVHcloud"}


def test_a_provider_that_works_again_is_first_again(now, twilio, ovh):
    provider = make_twilio()
    make_ovh()
    twilio.moods.append(Mood(500))
    page(now)
    deliver_due(now=now)
    later = now + timedelta(minutes=1)

    row = page(later)
    deliver_due(now=later)

    assert vias(row) == ["Twilio"]
    assert ProviderState.objects.get(provider=provider).error == ""


def test_a_number_that_nobody_has_is_not_tried_elsewhere(now, twilio, ovh):
    make_twilio()
    make_ovh()
    twilio.refused[PHONE] = (21614, "not a mobile number")
    row = page(now)

    deliver_due(now=now)

    assert reread(row).status == "dead"
    assert ovh.jobs == []


def test_when_all_refuse_for_good_it_is_given_up_at_once(now, twilio, ovh):
    make_twilio()
    make_ovh()
    twilio.moods.append(Mood(401, {"code": 20003, "message": "x"}))
    ovh.credits = 0
    row = page(now)

    deliver_due(now=now)

    assert reread(row).status == "dead"
    assert outcomes(row) == ["permanent", "permanent"]


def test_when_one_may_recover_it_is_tried_again(now, twilio, ovh):
    make_twilio()
    make_ovh()
    twilio.moods.append(Mood(503))
    ovh.credits = 0
    row = page(now)

    deliver_due(now=now)

    waiting = reread(row)
    assert waiting.status == "queued"
    assert waiting.next_attempt_at > now
    deliver_due(now=now + timedelta(minutes=2))
    assert reread(row).status == "sent"


def test_a_permanent_end_brings_the_next_way_forward(now, twilio):
    make_twilio()
    address = make_phone()
    twilio.refused[PHONE] = (21614, "not a mobile number")
    page(now, channel=None, address=address, route_key="r:1")
    call = page(
        now,
        channel=None,
        address=address,
        method="voice",
        route_key="r:1",
        not_before=now + timedelta(minutes=2),
    )
    twilio.refused.clear()
    twilio.moods.append(Mood(400, {"code": 21614, "message": "not a mobile number"}))

    deliver_due(now=now)
    deliver_due(now=now + timedelta(seconds=1))

    assert reread(call).status == "sent"
    assert len(twilio.calls) == 1


def make_phone(value=PHONE, **values):
    contact = make_contact(name=values.pop("name", "Ana"))
    address = contact.addresses.create(kind="phone", value=value)
    from notifications.models import AddressVerification

    AddressVerification.objects.create(address=address, verified_value=value)
    return address


def test_nobody_is_sent_to_without_a_provider(now):
    with pytest.raises(UnableToEnqueue, match="no SMS provider"):
        page(now)

    assert not services.usable_channels(
        make_sms_channel().__class__.objects.filter(kind="sms")
    ).exists()


def test_a_provider_that_goes_while_a_page_waits_is_said(now, twilio):
    provider = make_twilio()
    row = page(now)
    provider.delete()

    deliver_due(now=now)

    ended = reread(row)
    assert ended.status in {"cancelled", "dead"}
    assert "no SMS provider" in ended.outcome


def test_an_incomplete_or_disabled_provider_carries_nothing():
    make_twilio(secret="")
    make_ovh(is_enabled=False)

    assert reachable_carriers() == frozenset()
    assert usable_methods() == {"email"}


def test_what_can_be_carried_takes_one_query(django_assert_num_queries):
    make_twilio(voice_sender="")
    make_ovh()

    with django_assert_num_queries(1):
        assert usable_methods() == {"email", "sms"}
    Provider.objects.filter(kind="twilio").update(voice_sender="+33757000000")
    assert usable_methods() == {"email", "sms", "voice"}


def test_a_lost_answer_becomes_a_reminder_elsewhere(now, twilio, ovh, monkeypatch):
    monkeypatch.setattr("notifications.transports.twilio_sms._LISTED_AFTER_S", 0)
    make_twilio()
    make_ovh()
    twilio.moods.append(Mood(0))
    row = page(now, message=make_message(short="P0 API down"))

    deliver_due(now=now)

    assert outcomes(row) == ["lost", "sent"]
    assert ovh.jobs[0]["message"].startswith("Reminder")
    assert "no answer" in details(row)[0] or "failed" in details(row)[0]


def test_after_a_crash_it_is_looked_for_and_not_sent_twice(now, twilio):
    from notifications.claiming import claim_due

    make_twilio()
    row = page(now, message=make_message(short="P0 API down"))
    # A process that dies between sending and recording.
    claim_due(now=now, free_slots={PAGING: 1}, at_most=1)
    from tests.notifications.test_twilio import send

    first = send(make_message(short="P0 API down"))

    deliver_due(now=now + timedelta(minutes=2))

    assert len(twilio.messages) == 1
    assert reread(row).receipt["message_ids"] == [first.message_id]


def test_a_test_goes_through_its_provider_alone(now, twilio, ovh):
    make_ovh(position=1)
    provider = make_twilio(position=2, is_enabled=False)
    contact = make_contact(name="Ana")
    address = contact.addresses.create(kind="phone", value=PHONE)

    sent = try_provider(
        provider=provider,
        address=address,
        method="sms",
        now=now,
        requested_by=make_user(),
    )

    assert sent.status == "sent"
    assert len(twilio.messages) == 1
    assert ovh.jobs == []


def test_a_test_of_what_it_cannot_do_is_refused(now):
    provider = make_twilio(voice_sender="")
    contact = make_contact(name="Ana")
    address = contact.addresses.create(kind="phone", value=PHONE)

    with pytest.raises(UnableToEnqueue, match="not configured"):
        try_provider(
            provider=provider,
            address=address,
            method="voice",
            now=now,
            requested_by=make_user(),
        )


def test_a_channels_test_goes_on_to_the_next_provider(now, twilio, ovh):
    make_twilio()
    make_ovh()
    twilio.moods.append(Mood(401, {"code": 20003, "message": "x"}))
    test = services.send_test(
        channel=make_sms_channel(), now=now, requested_by=make_user()
    )

    assert deliver_one(notification=test, now=now).status == "sent"
    assert len(ovh.jobs) == 1


def test_a_provider_deleted_while_it_sends_is_recorded(now, twilio):
    provider = make_twilio()
    row = page(now)
    original = twilio.reply

    def reply_and_delete(asked):
        Provider.objects.filter(pk=provider.pk)
        return original(asked)

    twilio.reply = reply_and_delete
    deliver_due(now=now)
    Provider.objects.all().delete()

    assert vias(row) == ["Twilio"]
    assert Attempt.objects.get(notification=row).provider_id is None


outcome = st.sampled_from(["temporary", "permanent", "lost"])


# A busy machine is no fault of the strategies.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.integers(1, 4), st.lists(outcome, max_size=4), max_size=4),
    st.sets(st.integers(1, 4), max_size=4),
    st.integers(1, 4),
    outcome,
)
def test_every_failure_has_one_next_move(before, candidates, failed, last):
    outcomes = {**before, failed: [*before.get(failed, []), last]}

    move = next_move(candidates=candidates, outcomes=outcomes, failed=failed)

    others = candidates - {failed}
    if move is Move.AT_ONCE:
        # Never again to the one that has just failed, and never for ever.
        assert any(len(outcomes.get(o, [])) < len(outcomes[failed]) for o in others)
    if move is Move.GIVE_UP:
        assert last == "permanent"
        assert all(outcomes.get(o, [])[-1:] == ["permanent"] for o in others)
