"""The outbox in the admin: to read, and to bring dead letters back."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission

from notifications.delivery import deliver_due
from notifications.models import Notification
from tests.factories import make_user
from tests.notifications.making import (
    make_message,
    make_notification,
    make_slack_channel,
    page,
    reread,
    text_of,
)
from tests.notifications.servers import Answer

pytestmark = pytest.mark.django_db
Status = Notification.Status


def test_a_kept_mail_can_be_read_and_says_that_it_never_left(admin, now, settings):
    settings.EMAIL_HOST = ""
    message = make_message(title="Café fermé", text="<script>alert(1)</script>")
    row = make_notification(now=now, message=message)
    deliver_due(now=now)

    body = text_of(admin.get(page("notification_change", row.pk)))

    assert "nothing left the portal" in body
    assert "Kept, not sent" in body
    assert (
        f'<iframe sandbox="" title="P0 · Café fermé" src="{mail_address(row)}"' in body
    )
    assert "<script>alert(1)" not in body
    assert "Kept, not sent" in text_of(admin.get(page("notification_changelist")))


def mail_address(row: Notification) -> str:
    return page("notification_mail", row.pk)


def test_a_mail_is_framed_as_it_was_sent_and_can_do_nothing(admin, now):
    message = make_message(title="Café fermé", text="<script>alert(1)</script>")
    row = make_notification(now=now, message=message)

    answer = admin.get(mail_address(row))

    assert answer.content.decode().startswith("<!DOCTYPE html>")
    assert "Café fermé" in text_of(answer)
    assert "<script>" not in text_of(answer)
    policy = answer["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "frame-ancestors 'self'"} <= set(policy)
    assert answer["X-Frame-Options"] == "SAMEORIGIN"


def test_a_mail_is_shown_to_whom_may_see_notifications_only(client, now):
    row = make_notification(now=now)
    client.force_login(make_user(is_staff=True))

    assert client.get(mail_address(row)).status_code == 403


@pytest.mark.parametrize("case", ["unknown", "slack", "unreadable"])
def test_what_is_no_mail_has_no_frame(admin, now, slack, case: str):
    channel = make_slack_channel(slack.url) if case == "slack" else None
    row = make_notification(now=now, **({"channel": channel} if channel else {}))
    if case == "unreadable":
        Notification.objects.update(message={"version": 99})
    address = page("notification_mail", 0 if case == "unknown" else row.pk)

    assert admin.get(address).status_code == 404


def test_a_slack_message_can_be_read_with_its_attempts(admin, now, slack):
    slack.answers.append(Answer(404, "no_service"))
    row = make_notification(now=now, channel=make_slack_channel(slack.url))
    deliver_due(now=now)

    body = text_of(admin.get(page("notification_change", row.pk)))

    assert "P0 · Backend is down" in body
    assert "Refused for good" in body
    assert "no_service" in body
    assert "canary" not in body.lower()


def test_a_stored_message_that_nobody_understands_is_shown_raw(admin, now):
    row = make_notification(now=now)
    Notification.objects.update(message={"version": 99, "title": "from the future"})

    assert "from the future" in text_of(admin.get(page("notification_change", row.pk)))


def test_notifications_can_be_looked_at_and_not_edited(admin, now):
    row = make_notification(now=now)

    assert admin.get(page("notification_add")).status_code == 403
    assert admin.post(page("notification_delete", row.pk)).status_code == 403
    assert admin.post(page("notification_change", row.pk), {}).status_code == 403
    assert 'name="_save"' not in text_of(admin.get(page("notification_change", row.pk)))


def test_dead_letters_are_filtered_and_retried_together(admin, now):
    dead, waiting = make_notification(now=now), make_notification(now=now)
    Notification.objects.filter(pk=dead.pk).update(
        status=Status.DEAD, ended_at=now, outcome="HTTP 404"
    )
    url = page("notification_changelist")
    assert admin.get(url, {"status__exact": "dead"}).context["cl"].result_count == 1
    assert admin.get(url, {"purpose": "page"}).context["cl"].result_count == 2

    response = admin.post(
        url,
        {
            "action": "retry_selected",
            "_selected_action": [str(dead.pk), str(waiting.pk)],
        },
        follow=True,
    )

    body = text_of(response)
    assert "1 notification is queued again." in body
    assert "1 was left out" in body
    assert reread(dead).status == Status.QUEUED


def test_one_dead_letter_is_retried_from_its_page(admin, now):
    row = make_notification(now=now)
    url = page("notification_retry_one", row.pk)
    assert url not in text_of(admin.get(page("notification_change", row.pk)))
    Notification.objects.update(status=Status.DEAD, ended_at=now)
    assert url in text_of(admin.get(page("notification_change", row.pk)))

    assert "Try again" in text_of(admin.get(url))
    assert reread(row).status == Status.DEAD
    assert "queued again" in text_of(admin.post(url, follow=True))
    assert reread(row).status == Status.QUEUED
    assert "Only a notification that was given up" in text_of(
        admin.post(url, follow=True)
    )


def test_retrying_needs_its_permission(client, now):
    viewer = make_user()
    viewer.user_permissions.add(Permission.objects.get(codename="view_notification"))
    client.force_login(viewer)
    row = make_notification(now=now)
    Notification.objects.update(status=Status.DEAD)

    body = text_of(client.get(page("notification_changelist")))
    client.post(
        page("notification_changelist"),
        {"action": "retry_selected", "_selected_action": [str(row.pk)]},
    )

    assert not re.search(r'value="retry_selected"', body)
    assert client.post(page("notification_retry_one", row.pk)).status_code == 403
    assert reread(row).status == Status.DEAD
