"""The housekeeping as Celery runs it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from checklists import tasks
from t4g_portal.lib.models import LoopCycle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("room", "broken", "last", "task"),
    [
        ("runs", "expire_due", ("reminding", "remind_due"), "keep_house"),
        ("waivers", "expire_due", ("reminding", "remind_due"), "keep_house"),
        ("anchors", "send_due", ("checks", "check_due"), "keep_chain"),
    ],
)
def test_step_that_fails_stops_no_other_and_the_loop_is_late(
    monkeypatch, caplog, room, broken, last, task
):
    calls = []

    def fail(*, now):
        raise ValueError("broken")

    def note(*, now):
        calls.append(now)

    monkeypatch.setattr(getattr(tasks, room), broken, fail)
    monkeypatch.setattr(getattr(tasks, last[0]), last[1], note)
    began = timezone.now()

    getattr(tasks, task)()

    assert len(calls) == 1
    row = LoopCycle.objects.get(name=f"checklists.{task}")
    assert row.completed_at < began
    assert row.last_error.startswith("RuntimeError: failed: ")
    assert "broken" in caplog.text
