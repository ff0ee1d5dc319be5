"""A provider is never used faster than it may be, and pages go first."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.delivery import deliver_due
from notifications.models import Notification, ProviderState
from notifications.pacing import reserve
from tests.notifications.making import (
    make_notification,
    make_sms_channel,
    make_twilio,
    reread,
)
from tests.notifications.vendors import Mood

pytestmark = pytest.mark.django_db
PAGING, NORMAL, BULK = (
    Notification.Lane.PAGING,
    Notification.Lane.NORMAL,
    Notification.Lane.BULK,
)


def take(provider, now, lane=PAGING, rate=10.0):
    return reserve(provider_id=provider.pk, rate_per_s=rate, lane=lane, now=now)


def test_moments_are_a_gap_apart(now):
    provider = make_twilio()

    moments = [take(provider, now) for _ in range(4)]

    assert [moment.at - now for moment in moments] == [
        timedelta(milliseconds=100 * n) for n in range(4)
    ]
    assert all(moment.is_ours for moment in moments)


def test_what_is_too_far_ahead_comes_back_later(now):
    provider = make_twilio()
    for _ in range(4):
        take(provider, now)

    moment = take(provider, now)

    assert not moment.is_ours
    assert moment.at == now + timedelta(milliseconds=400)


def test_a_page_finds_room_where_a_digest_does_not(now):
    provider = make_twilio()
    take(provider, now)

    assert not take(provider, now, lane=BULK).is_ours
    assert not take(provider, now, lane=NORMAL).is_ours
    assert take(provider, now, lane=PAGING).is_ours


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([PAGING, NORMAL, BULK])),
        max_size=60,
    )
)
def test_no_two_moments_are_closer_than_the_rate(asked):
    now = timezone.now()
    ProviderState.objects.all().delete()
    provider = make_twilio(name=f"Twilio {timezone.now().timestamp()}")
    taken = []
    for wait_ms, lane in asked:
        now += timedelta(milliseconds=wait_ms)
        moment = take(provider, now, lane=lane, rate=20)
        if moment.is_ours:
            taken.append(moment.at)
            assert moment.at >= now
    gaps = [after - before for before, after in pairwise(taken)]
    assert all(gap >= timedelta(milliseconds=50) for gap in gaps)
    provider.delete()


def test_a_row_that_waits_for_its_turn_is_no_attempt(now, twilio):
    make_twilio(rate_per_s=0.5)
    first, second = (
        make_notification(now=now, channel=make_sms_channel(), lane=PAGING)
        for _ in range(2)
    )

    deliver_due(now=now)

    waiting = next(r for r in map(reread, (first, second)) if r.status == "queued")
    assert waiting.attempt_count == 0
    assert waiting.attempts.count() == 0
    assert timedelta(0) <= waiting.next_attempt_at - now - timedelta(seconds=2)
    deliver_due(now=now + timedelta(seconds=3))
    assert reread(waiting).status == "sent"


def test_a_429_holds_everything_back(now, twilio):
    provider = make_twilio()
    twilio.moods.append(Mood(429, {"code": 20429}, {"Retry-After": "60"}))
    make_notification(now=now, channel=make_sms_channel(), lane=PAGING)
    deliver_due(now=now)
    later = now + timedelta(seconds=20)
    other = make_notification(now=later, channel=make_sms_channel(), lane=PAGING)

    deliver_due(now=later)

    assert len(twilio.messages) == 0
    assert reread(other).status == "queued"
    free_at = ProviderState.objects.get(provider=provider).next_free_at
    assert free_at is not None
    deliver_due(now=free_at + timedelta(seconds=5))
    assert reread(other).status == "sent"
