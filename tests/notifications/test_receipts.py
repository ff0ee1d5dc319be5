"""What became of messages: reports in any order, forged ones, and none at all."""

from __future__ import annotations

import itertools
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from django.utils import timezone
from twilio.request_validator import RequestValidator

from notifications import receipts
from notifications.asking import ask_due
from notifications.claiming import claim_due
from notifications.delivery import deliver_due
from notifications.models import (
    AddressVerification,
    Attempt,
    DeliveryReport,
)
from notifications.recording import Try, record
from notifications.transports import ovh as ovh_api
from tests.factories import make_contact
from tests.notifications.making import (
    PHONE,
    make_notification,
    make_ovh,
    make_sms_channel,
    make_twilio,
    make_webhook_channel,
    reread,
)
from tests.notifications.vendors import AUTH_TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _their_clock_is_unknown():
    ovh_api._clocks._known.clear()


@pytest.fixture
def portal(settings):
    settings.PORTAL_URL = "https://ops.example"


def make_phone():
    address = make_contact(name="Ana").addresses.create(kind="phone", value=PHONE)
    AddressVerification.objects.create(address=address, verified_value=PHONE)
    return address


def sent_sms(now, **values):
    if "address" not in values:
        values.setdefault("channel", make_sms_channel())
    row = make_notification(now=now, **values)
    deliver_due(now=now)
    return reread(row)


def form_about(twilio, status, *, sid=None, **values):
    return {
        "MessageSid": sid or twilio.messages[0]["sid"],
        "SmsSid": sid or twilio.messages[0]["sid"],
        "MessageStatus": status,
        "SmsStatus": status,
        "To": PHONE,
        "From": "+33757000000",
        "AccountSid": twilio.sid,
        "ApiVersion": "2010-04-01",
        **values,
    }


def report(client, url, form, *, token=AUTH_TOKEN, signature=None):
    """POST as Twilio does, signed by Twilio's own validator."""
    made = RequestValidator(token).compute_signature(url, form)
    parts = urlsplit(url)
    return client.post(
        f"{parts.path}?{parts.query}" if parts.query else parts.path,
        urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": made if signature is None else signature},
    )


def test_sent_is_not_delivered(now, twilio):
    make_twilio()

    row = sent_sms(now)

    assert row.delivery_status == "sent"
    assert row.delivered_at is None
    assert row.provider_message_id.endswith(twilio.messages[0]["sid"])
    assert row.report_due_at == row.ended_at + timedelta(minutes=1)


def test_twilio_says_that_it_was_delivered(now, client, portal, twilio):
    make_twilio()
    row = sent_sms(now)
    url = twilio.messages[0]["_callback"]
    assert url == f"https://ops.example/hooks/twilio/status?n={row.pk}"

    answer = report(client, url, form_about(twilio, "delivered"))

    assert answer.status_code == 204
    row = reread(row)
    assert row.delivery_status == "delivered"
    assert row.delivered_at is not None
    assert row.report_due_at is None
    (said,) = DeliveryReport.objects.all()
    assert (said.status, said.detail) == ("delivered", "Twilio: delivered")


@pytest.mark.parametrize(
    "order",
    sorted(set(itertools.permutations(["sent", "delivered", "delivered", "failed"]))),
)
def test_reports_in_any_order_end_the_same(order, now, client, portal, twilio):
    make_twilio()
    row = sent_sms(now)
    url = twilio.messages[0]["_callback"]

    for status in order:
        assert report(client, url, form_about(twilio, status)).status_code == 204

    assert reread(row).delivery_status == "delivered"
    # Each thing once, however often it was said.
    assert DeliveryReport.objects.count() == 3


def test_a_report_may_come_before_we_have_recorded(now, portal, twilio):
    provider = make_twilio()
    row = make_notification(now=now, channel=make_sms_channel())
    (claim,) = claim_due(now=now, free_slots={row.lane: 1}, at_most=1)

    receipts.apply(
        provider_id=provider.pk,
        message_id="SM1",
        status="delivered",
        notification_id=row.pk,
        now=now,
    )
    taken = Try(
        started_at=now,
        duration_ms=5,
        outcome=Attempt.Outcome.SENT,
        provider_id=provider.pk,
        carrier="sms",
        message_id="SM1",
    )
    record(claim=claim, result=taken, now=now)

    row = reread(row)
    assert (row.status, row.delivery_status) == ("sent", "delivered")
    assert row.report_due_at is None


def test_an_undelivered_sms_brings_the_next_way_forward(now, client, portal, twilio):
    make_twilio()
    address = make_phone()
    make_notification(now=now, address=address, method="sms", route_key="r")
    call = make_notification(
        now=now,
        address=address,
        method="voice",
        route_key="r",
        not_before=timezone.now() + timedelta(hours=1),
    )
    deliver_due(now=now)
    url = twilio.messages[0]["_callback"]

    report(client, url, form_about(twilio, "undelivered", ErrorCode="30003"))

    assert reread(call).next_attempt_at <= timezone.now()
    assert DeliveryReport.objects.get().detail == "Twilio: undelivered (30003)"


def test_an_undelivered_channel_says_so(now, client, portal, twilio):
    make_twilio()
    row = sent_sms(now)

    report(client, twilio.messages[0]["_callback"], form_about(twilio, "failed"))

    assert "not delivered" in row.channel.state.error


@pytest.mark.parametrize(
    "fault", ["forged", "other token", "other url", "no signature", "unknown account"]
)
def test_what_nobody_signed_changes_nothing(fault, now, client, portal, twilio, caplog):
    make_twilio()
    row = sent_sms(now)
    url, form = twilio.messages[0]["_callback"], form_about(twilio, "delivered")

    if fault == "forged":
        answer = report(client, url, form, signature="AAAA" * 7)
    elif fault == "other token":
        answer = report(client, url, form, token="another")
    elif fault == "other url":
        signature = RequestValidator(AUTH_TOKEN).compute_signature(
            url.replace("?n=", "?n=1"), form
        )
        answer = report(client, url, form, signature=signature)
    elif fault == "no signature":
        answer = report(client, url, form, signature="")
    else:
        answer = report(client, url, {**form, "AccountSid": "AC" + "0" * 32})

    assert answer.status_code == 401
    assert reread(row).delivery_status == "sent"
    assert DeliveryReport.objects.count() == 0
    assert AUTH_TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 70_000, 413),
        (b"MessageSid=%ff%fe&a", 400),
        (b"", 401),
        (b"MessageSid=a&MessageSid=b", 400),
        ("MessageSid=é".encode(), 400),
    ],
)
def test_what_is_no_report_is_refused(body, status, client, portal, twilio):
    make_twilio()

    answer = client.post(
        "/hooks/twilio/status",
        body,
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": "AAAA" * 7},
    )

    assert answer.status_code == status
    assert client.get("/hooks/twilio/status").status_code == 405


def test_a_signed_report_of_nothing_is_malformed(client, portal, twilio):
    make_twilio()
    url = "https://ops.example/hooks/twilio/status"

    answer = report(client, url, {"AccountSid": twilio.sid})

    assert answer.status_code == 400


def test_another_accounts_report_is_not_about_ours(now, client, portal, twilio):
    make_twilio()
    row = sent_sms(now)
    other = "AC" + "9" * 32
    make_twilio(name="Other", account=other, secret="other-token", position=5)
    url = twilio.messages[0]["_callback"]

    answer = report(
        client,
        url,
        {**form_about(twilio, "delivered"), "AccountSid": other},
        token="other-token",
    )

    assert answer.status_code == 204
    assert reread(row).delivery_status == "sent"


def test_a_report_of_a_message_that_is_gone_is_harmless(now, client, portal, twilio):
    make_twilio()
    row = sent_sms(now)
    url, form = twilio.messages[0]["_callback"], form_about(twilio, "delivered")
    row.delete()

    assert report(client, url, form).status_code == 204


def called(now, **values):
    """A call that Twilio has taken, and an SMS that would follow in an hour."""
    make_twilio()
    address = make_phone()
    call = sent_sms(now, address=address, method="voice", route_key="r", **values)
    text = make_notification(
        now=now,
        address=address,
        method="sms",
        route_key="r",
        not_before=timezone.now() + timedelta(hours=1),
    )
    return call, text


def tell(client, twilio, **values):
    """Let Twilio say something of its only call."""
    (call,) = twilio.calls
    form = {"CallSid": call["sid"], "AccountSid": twilio.sid, **values}
    assert report(client, call["_amd_callback"], form).status_code == 204


def test_a_call_that_a_person_answers_was_delivered(now, client, portal, twilio):
    call, text = called(now)

    tell(client, twilio, AnsweredBy="human")
    tell(client, twilio, CallStatus="completed")

    assert reread(call).delivery_status == "delivered"
    assert reread(text).next_attempt_at > timezone.now()


@pytest.mark.parametrize("machine", ["machine_start", "machine_end_beep", "fax"])
def test_a_mailbox_was_told_nothing_and_the_next_way_goes_now(
    now, client, portal, twilio, machine
):
    call, text = called(now)

    tell(client, twilio, AnsweredBy=machine)
    tell(client, twilio, CallStatus="completed")

    assert reread(call).delivery_status == "failed"
    assert reread(text).next_attempt_at <= timezone.now()


def test_the_end_of_a_call_alone_says_nothing_so_twilio_is_asked(
    now, client, portal, twilio
):
    call, text = called(now)
    sid = twilio.calls[0]["sid"]

    tell(client, twilio, CallStatus="completed")

    assert reread(call).delivery_status == "sent"
    twilio.set_status(sid, "completed")
    twilio.detect(sid, "machine_start", tells=False)
    ask_due(now=timezone.now())
    assert reread(call).delivery_status == "failed"
    assert reread(text).next_attempt_at <= timezone.now()


@pytest.mark.parametrize("answered_by", [None, "unknown"])
def test_a_call_that_nobody_is_known_to_have_taken_is_not_told(
    now, client, portal, twilio, answered_by
):
    call, text = called(now)
    twilio.set_status(twilio.calls[0]["sid"], "completed")
    twilio.calls[0]["answered_by"] = answered_by

    tell(client, twilio, AnsweredBy="unknown")
    assert reread(call).delivery_status == "sent"
    ask_due(now=now + timedelta(minutes=1, seconds=1))

    assert reread(call).delivery_status == "failed"
    assert reread(text).next_attempt_at <= timezone.now()


def test_a_call_that_goes_on_is_asked_about_again(now, portal, twilio):
    call, _text = called(now)
    twilio.set_status(twilio.calls[0]["sid"], "in-progress")

    ask_due(now=now + timedelta(minutes=1, seconds=1))

    row = reread(call)
    assert row.delivery_status == "sent"
    assert row.report_due_at > now + timedelta(minutes=4)


def test_nobody_picks_up_and_the_next_way_goes_now(now, client, portal, twilio):
    make_twilio()
    address = make_phone()
    row = sent_sms(now, address=address, method="voice", route_key="r")
    text = make_notification(
        now=now,
        address=address,
        method="sms",
        route_key="r",
        not_before=timezone.now() + timedelta(hours=1),
    )
    url, sid = twilio.calls[0]["_callback"], twilio.calls[0]["sid"]

    report(
        client,
        url,
        {"CallSid": sid, "CallStatus": "no-answer", "AccountSid": twilio.sid},
    )

    assert reread(row).delivery_status == "failed"
    assert reread(text).next_attempt_at <= timezone.now()


# --- OVHcloud --------------------------------------------------------------------------


def test_ovhs_word_alone_delivers_nothing(now, client, ovh):
    provider = make_ovh()
    row = sent_sms(now)
    (number,) = ovh.outgoing

    answer = client.get(f"/hooks/ovh/{provider.url_token}?id={number}&ptt=4")

    assert answer.status_code == 200
    row = reread(row)
    assert row.delivery_status == "sent"
    # But it is asked now.
    assert row.report_due_at is not None
    later = row.report_due_at + timedelta(seconds=1)
    ask_due(now=later)
    assert reread(row).delivery_status == "sent"
    ovh.set_state(number, ptt=4, receipt=1)
    client.get(f"/hooks/ovh/{provider.url_token}?id={number}&ptt=4")
    ask_due(now=later + timedelta(days=365))
    assert reread(row).delivery_status == "delivered"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hooks/ovh/wrong?id=1", 401),
        ("/hooks/ovh/%00?id=1", 401),
        ("/hooks/ovh/{token}?id=1%00", 400),
        ("/hooks/ovh/{token}?id=x", 400),
        ("/hooks/ovh/{token}", 400),
        ("/hooks/ovh/{token}?id=" + "9" * 30, 400),
        ("/hooks/ovh/{token}?id=123456", 200),
    ],
)
def test_what_is_no_report_of_ovhs_is_refused(path, status, client, ovh):
    provider = make_ovh()

    answer = client.get(path.format(token=provider.url_token))

    assert answer.status_code == status


# --- Asking ----------------------------------------------------------------------------


def test_a_report_that_does_not_come_is_asked_for(now, twilio):
    make_twilio()
    row = sent_sms(now)
    twilio.set_status(twilio.messages[0]["sid"], "delivered")

    assert ask_due(now=now) == 0
    assert ask_due(now=now + timedelta(seconds=90)) == 1

    row = reread(row)
    assert row.delivery_status == "delivered"
    assert row.report_due_at is None


def test_it_is_asked_less_and_less_and_then_no_more(now, twilio):
    make_twilio()
    row = sent_sms(now)
    asked_after = []

    while (due_at := reread(row).report_due_at) is not None:
        ask_due(now=due_at)
        asked_after.append(round((due_at - row.ended_at).total_seconds()))

    assert asked_after == [60, 300, 900, 3600, 21_600, 86_400]


def test_a_provider_that_is_down_is_asked_again(now, twilio, settings):
    make_twilio()
    row = sent_sms(now)
    settings.TWILIO_API_URL = "http://127.0.0.1:9"

    ask_due(now=now + timedelta(seconds=90))

    row = reread(row)
    assert row.delivery_status == "sent"
    assert row.report_due_at is not None


def test_each_number_of_a_channel_is_asked_about(now, twilio):
    make_twilio()
    row = sent_sms(now, channel=make_sms_channel(PHONE, "+33611111111"))
    first, second = (message["sid"] for message in twilio.messages)
    twilio.set_status(first, "undelivered")
    twilio.set_status(second, "delivered")

    ask_due(now=now + timedelta(seconds=90))

    # Somebody has it.
    assert reread(row).delivery_status == "delivered"


def test_what_has_no_reports_is_never_asked_about(now, receiver):
    row = make_notification(now=now, channel=make_webhook_channel(receiver.url))
    deliver_due(now=now)

    assert reread(row).delivery_status == ""
    assert reread(row).report_due_at is None
