"""Digests in the admin: set up, looked at before they leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from kpis.models import DigestDelivery, DigestPlan
from notifications.models import Notification
from tests.factories import make_address, make_channel, make_contact, make_user
from tests.kpis.making import make_kpi, make_point

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Client:
    client = Client()
    client.force_login(make_user(is_superuser=True))
    return client


def make_plan(**values: Any) -> DigestPlan:
    channels = values.pop("channels", ())
    contacts = values.pop("contacts", ())
    values.setdefault("name", "Morning")
    plan = DigestPlan.objects.create(**values)
    plan.channels.set(channels)
    plan.contacts.set(contacts)
    return plan


def body(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def test_the_preview_shows_each_form_that_would_leave_and_sends_nothing(ops):
    kpi = make_kpi(name="Active <users>", unit="users")
    make_point(kpi, timezone.now() - timedelta(days=1), 1284)
    slack = make_channel(
        name="Slack board", kind="slack", address="", secret="https://s", language="en"
    )
    mail = make_channel(name="Mail board", language="fr")
    other = make_channel(name="Other mail", language="fr")
    person = make_contact(name="Ada", language="en", time_zone="Asia/Tokyo")
    make_address(contact=person)
    plan = make_plan(channels=[slack, mail, other], contacts=[person])

    page = body(ops, f"/admin/kpis/digestplan/{plan.pk}/preview/")

    assert "Slack board" in page
    # One form for both, because they read the same.
    assert "Mail board, Other mail" in page
    assert "Ada" in page
    assert "Active &lt;users&gt;" in page
    assert page.count("<iframe") == 2
    assert not Notification.objects.exists()
    assert not DigestDelivery.objects.exists()


def test_a_mail_stands_in_a_frame_that_can_run_nothing(ops):
    plan = make_plan(channels=[make_channel(language="en")])

    answer = ops.get(f"/admin/kpis/digestplan/{plan.pk}/preview/0/mail/")

    assert "KPIs on" in answer.content.decode()
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    body(ops, f"/admin/kpis/digestplan/{plan.pk}/preview/1/mail/", status=404)


def test_a_preview_that_reaches_nobody_says_what_to_do(ops):
    plan = make_plan(contacts=[make_contact()])

    page = body(ops, f"/admin/kpis/digestplan/{plan.pk}/preview/")

    assert "add a channel that is enabled" in page
    assert page.count("<iframe") == 1


def test_a_preview_is_not_posted_to(ops):
    plan = make_plan()

    answer = ops.post(f"/admin/kpis/digestplan/{plan.pk}/preview/")

    assert answer.status_code == 405


def test_a_time_zone_that_does_not_exist_is_refused(ops):
    answer = ops.post(
        "/admin/kpis/digestplan/add/",
        {
            "name": "Morning",
            "cadence": "daily",
            "at": "09:00",
            "weekday": "0",
            "day": "1",
            "time_zone": "Europe/Pari",
            "audience": "both",
        },
    )

    assert answer.status_code == 200
    assert not DigestPlan.objects.exists()
    assert "Europe/Pari" in answer.content.decode()


def test_the_list_says_when_each_was_sent(ops, django_assert_max_num_queries):
    for number in range(3):
        plan = make_plan(name=f"Plan {number}")
        DigestDelivery.objects.create(
            plan=plan,
            local_date=timezone.localdate(),
            composed_at=timezone.now() - timedelta(hours=3),
        )

    with django_assert_max_num_queries(12):
        page = body(ops, "/admin/kpis/digestplan/")

    assert page.count("3\u00a0h ago") == 3
