"""The tick as Celery runs it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from incidents import deploy_windows, digest, tasks
from incidents.oncall import warning
from incidents.tasks import ADVANCE_BOUND_S, advance
from t4g_portal.lib.models import LoopCycle
from tests.factories import make_channel, make_priority_rules
from tests.incidents.making import deliver, make_incident, outbox

pytestmark = pytest.mark.django_db(transaction=True)


def test_tick_pages_again_and_notes_that_it_came_round():
    make_priority_rules(make_channel())
    began = timezone.now() - timedelta(minutes=6)
    make_incident(now=began)
    deliver(now=began)

    advance()

    assert len(outbox("page", "queued")) == 1
    assert LoopCycle.objects.get(name="incidents.advance").bound_s == ADVANCE_BOUND_S


def test_windows_that_fail_keep_nobody_from_being_paged(monkeypatch, caplog):
    make_priority_rules(make_channel())
    began = timezone.now() - timedelta(minutes=6)
    make_incident(now=began)
    deliver(now=began)

    def fail(*, now):
        raise ValueError("broken window")

    monkeypatch.setattr(deploy_windows, "advance_windows", fail)
    advance()

    assert len(outbox("page", "queued")) == 1
    assert "broken window" in caplog.text
    assert "failed: deploy windows" in caplog.text


def test_calendars_that_fail_keep_neither_digest_nor_reminders_back(
    monkeypatch, caplog
):
    done = []

    def fail(*, now):
        raise ValueError("broken calendar")

    monkeypatch.setattr(warning, "watch_calendars", fail)
    monkeypatch.setattr(digest, "send_due", lambda *, now: done.append("digest"))
    monkeypatch.setattr(tasks, "remind_due", lambda *, now: done.append("reminders"))
    tasks.remind()

    assert done == ["digest", "reminders"]
    assert "failed: calendars" in caplog.text


def test_tick_is_in_the_schedule():
    assert settings.CELERY_BEAT_SCHEDULE["incidents.advance"]["task"] == advance.name
