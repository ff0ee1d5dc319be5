"""The admin of this room, as people use it."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from notifications.delivery import deliver_due
from notifications.models import Address, Channel, Contact, Notification
from tests.factories import make_channel, make_contact, make_user
from tests.notifications.making import (
    SIGNING_SECRET,
    make_notification,
    make_slack_channel,
    page,
    text_of,
)
from tests.notifications.servers import Answer

pytestmark = pytest.mark.django_db
CANARY = "https://hooks.slack.com/services/T0CANARY1/B0CANARY2/canaryCanary3"
Status = Notification.Status


def channel_form(**values: Any) -> dict[str, Any]:
    return {
        "name": "Ops",
        "kind": "slack",
        "address": "",
        "new_secret": "",
        "language": "",
        **values,
    }


def address_rows(*rows: dict[str, str]) -> dict[str, str]:
    form = {"addresses-TOTAL_FORMS": str(len(rows)), "addresses-INITIAL_FORMS": "0"}
    form |= {"rules-TOTAL_FORMS": "0", "rules-INITIAL_FORMS": "0"}
    for number, row in enumerate(rows):
        for name, value in row.items():
            form[f"addresses-{number}-{name}"] = value
    return form


@pytest.mark.parametrize("model", ["contact", "channel", "notification"])
def test_lists_open_and_can_be_searched(admin, now, model):
    contact = make_contact(name="Ana")
    Address.objects.create(contact=contact, kind="email", value="ana@example.org")
    make_notification(now=now, channel=make_channel(name="Ana's channel"))

    response = admin.get(page(f"{model}_changelist"), {"q": "ana"})

    assert "1 " in text_of(response)
    assert response.context["cl"].result_count == 1


def test_lists_take_a_fixed_number_of_queries(
    admin, now, settings, django_assert_max_num_queries
):
    settings.EMAIL_HOST = ""
    for _ in range(12):
        make_notification(now=now)
        make_contact()
    deliver_due(now=now)

    for model in ("contact", "channel", "notification"):
        with django_assert_max_num_queries(12):
            admin.get(page(f"{model}_changelist"))


@pytest.mark.parametrize("model", ["contact", "channel"])
def test_add_pages_open(admin, model):
    assert "Save" in text_of(admin.get(page(f"{model}_add")))


def test_a_contact_is_added_with_its_addresses(admin):
    form = {"name": "Ana", "language": "fr", "time_zone": "Europe/Paris"}
    addresses = address_rows(
        {"kind": "email", "value": "ana@example.org", "is_enabled": "on"},
        {"kind": "phone", "value": "+33612345678", "is_enabled": "on"},
    )

    admin.post(page("contact_add"), {**form, **addresses, "is_enabled": "on"})

    contact = Contact.objects.get(name="Ana")
    values = set(contact.addresses.values_list("value", flat=True))
    assert values == {"ana@example.org", "+33612345678"}
    assert "ana@example.org" in text_of(admin.get(page("contact_change", contact.pk)))


def test_a_wrong_address_and_a_wrong_zone_are_named(admin):
    form = {"name": "Ana", "time_zone": "Paris"}
    addresses = address_rows({"kind": "phone", "value": "0612345678"})

    body = text_of(admin.post(page("contact_add"), {**form, **addresses}))

    assert "such as Europe/Paris" in body
    assert "country code" in body
    assert not Contact.objects.exists()


def test_a_secret_goes_in_and_never_comes_out(admin):
    admin.post(page("channel_add"), channel_form(new_secret=CANARY, is_enabled="on"))

    channel = Channel.objects.get()
    assert channel.secret == CANARY
    pages = [
        page("channel_changelist"),
        page("channel_change", channel.pk),
        page("channel_history", channel.pk),
    ]
    for url in pages:
        body = text_of(admin.get(url))
        assert "canary" not in body.lower()
    assert "Set. Leave empty to keep it." in text_of(admin.get(pages[1]))
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notifications_channel")
        assert "canary" not in cursor.fetchone()[0].lower()
    logged = str(list(LogEntry.objects.values_list("changes", flat=True)))
    assert "secret" in logged
    assert "canary" not in logged.lower()


def test_an_error_page_of_the_form_does_not_repeat_the_secret(admin):
    form = channel_form(name="", new_secret=CANARY)

    body = text_of(admin.post(page("channel_add"), form))

    assert "This field is required" in body
    assert "canary" not in body.lower()


def test_an_empty_secret_keeps_the_old_one_to_the_byte(admin):
    channel = make_slack_channel(CANARY, name="Ops")
    stored = stored_secret(channel)

    admin.post(page("channel_change", channel.pk), channel_form(name="Renamed"))

    channel.refresh_from_db()
    assert (channel.name, channel.secret) == ("Renamed", CANARY)
    assert stored_secret(channel) == stored
    assert "secret" not in LogEntry.objects.latest("pk").changes


def stored_secret(channel: Channel) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secret FROM notifications_channel WHERE id = %s", [channel.pk]
        )
        return str(cursor.fetchone()[0])


def test_a_secret_is_replaced_or_cleared(admin):
    channel = make_slack_channel(CANARY, name="Ops")
    url = page("channel_change", channel.pk)
    new = "https://hooks.slack.com/services/T1/B1/other"

    admin.post(url, channel_form(new_secret=new))
    channel.refresh_from_db()
    assert channel.secret == new

    admin.post(url, channel_form(clear_secret="on"))
    channel.refresh_from_db()
    assert channel.secret == ""
    assert "Not set." in text_of(admin.get(url))


def test_clearing_and_setting_at_once_is_refused(admin):
    channel = make_slack_channel(CANARY, name="Ops")
    form = channel_form(new_secret=CANARY + "x", clear_secret="on")

    body = text_of(admin.post(page("channel_change", channel.pk), form))

    assert "not both" in body


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"new_secret": "xoxb-1"}, "starts with https://"),
        ({"is_enabled": "on"}, "Paste the webhook URL from Slack"),
        ({"clear_secret": "on", "is_enabled": "on"}, "Paste the webhook URL"),
        ({"kind": "email", "address": "ana"}, "is not an e-mail address"),
        (
            {"kind": "webhook", "address": "https://x.example", "new_secret": "x"},
            "whsec_",
        ),
    ],
)
def test_a_wrong_channel_says_what_to_do(admin, values, message):
    body = text_of(admin.post(page("channel_add"), channel_form(**values)))

    assert message in body
    assert not Channel.objects.exists()


def test_changing_the_kind_asks_for_a_secret_that_fits(admin):
    channel = make_slack_channel(CANARY, name="Ops")
    form = channel_form(kind="webhook", address="https://x.example")

    body = text_of(admin.post(page("channel_change", channel.pk), form))
    assert "whsec_" in body

    admin.post(
        page("channel_change", channel.pk), {**form, "new_secret": SIGNING_SECRET}
    )
    channel.refresh_from_db()
    assert (channel.kind, channel.secret) == ("webhook", SIGNING_SECRET)


def test_a_secret_that_no_longer_opens_can_be_seen_to_and_replaced(admin, settings):
    channel = make_slack_channel(CANARY, name="Ops")
    settings.PORTAL_DATA_KEYS = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    url = page("channel_change", channel.pk)

    assert "Ops" in text_of(admin.get(page("channel_changelist")))
    assert "can't be read" in text_of(admin.post(url, channel_form())).replace(
        "&#x27;", "'"
    )
    admin.post(url, channel_form(new_secret=CANARY))

    assert Channel.objects.get().secret == CANARY


def test_states_are_words(admin, slack, now):
    make_channel(name="Fine")
    make_channel(name="Off", is_enabled=False)
    make_slack_channel("", name="Bare")
    broken = make_slack_channel(slack.url, name="Broken")
    slack.answers.append(Answer(404, "no_service"))
    make_notification(now=now, channel=broken)
    deliver_due(now=now)

    body = text_of(admin.get(page("channel_changelist")))

    for word in ("Enabled", "Disabled", "Not configured", "Failing", "no_service"):
        assert word in body


def test_the_test_button_shows_a_page_first_and_sends_nothing(admin, slack):
    channel = make_slack_channel(slack.url)
    change = text_of(admin.get(page("channel_change", channel.pk)))
    url = page("channel_send_test", channel.pk)

    assert url in change
    assert "Send test" in text_of(admin.get(url))
    assert slack.requests == []
    assert not Notification.objects.exists()


def test_the_test_button_sends_and_shows_the_receipt(admin, slack):
    channel = make_slack_channel(slack.url, is_enabled=False)

    response = admin.post(page("channel_send_test", channel.pk), follow=True)

    body = text_of(response)
    assert "The receiver took it and said: ok" in body
    assert "Test message" in body
    assert len(slack.requests) == 1
    assert "canary" not in body.lower()


def test_the_test_button_shows_the_error(admin, slack):
    slack.answers.append(Answer(404, "no_service"))
    channel = make_slack_channel(slack.url)

    response = admin.post(page("channel_send_test", channel.pk), follow=True)

    body = text_of(response)
    assert "no_service" in body
    assert "Make a new one" in body


def test_testing_an_empty_channel_says_why_not(admin):
    channel = make_slack_channel("")

    response = admin.post(page("channel_send_test", channel.pk), follow=True)

    assert "not configured" in text_of(response)
    assert not Notification.objects.exists()


def test_testing_needs_the_permission_to_change_channels(client, slack):
    viewer = make_user()
    viewer.user_permissions.add(Permission.objects.get(codename="view_channel"))
    client.force_login(viewer)
    channel = make_slack_channel(slack.url)
    url = page("channel_send_test", channel.pk)

    assert url not in text_of(client.get(page("channel_change", channel.pk)))
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403
    assert slack.requests == []


def test_a_forged_test_request_is_refused(slack):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(is_superuser=True))
    channel = make_slack_channel(slack.url)

    assert client.post(page("channel_send_test", channel.pk)).status_code == 403
    assert slack.requests == []


@pytest.mark.parametrize("name", ["channel_send_test", "notification_retry_one"])
def test_what_does_not_exist_is_not_found(admin, name):
    assert admin.get(page(name, 999_999)).status_code == 404
