"""Twilio, against a stand-in that its own client agrees with."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from notifications.transports import twilio as api
from notifications.transports.base import (
    Account,
    Destination,
    Earlier,
    Said,
    TransportError,
)
from notifications.transports.twilio_sms import TwilioSmsTransport
from notifications.transports.twilio_voice import TwilioVoiceTransport
from tests.notifications.making import PHONE, make_message
from tests.notifications.vendors import ACCOUNT_SID, AUTH_TOKEN, Mood

STATUS_URL = "https://ops.example/hooks/twilio/status?n=7"
KEYPRESS_URL = "https://ops.example/hooks/twilio/voice?n=7"


def make_account(**values):
    values.setdefault("secret", AUTH_TOKEN)
    values.setdefault("sender", "+33757000000")
    values.setdefault("voice_sender", "+33757000000")
    return Account(id=1, kind="twilio", name="Twilio", account=ACCOUNT_SID, **values)


def send(
    message=None,
    *,
    to=PHONE,
    transport=None,
    account=None,
    earlier=None,
    url=STATUS_URL,
):
    return (transport or TwilioSmsTransport()).send(
        destination=Destination(
            key="address:1",
            kind="sms",
            address=to,
            account=account or make_account(),
            status_url=url,
            keypress_url=KEYPRESS_URL,
            earlier=earlier,
        ),
        message=message or make_message(short="P0 API down"),
        idempotency_key="incident:1:page:0",
    )


@pytest.fixture
def client(twilio):
    """Twilio's own client, led to the stand-in."""

    class Local(TwilioHttpClient):  # type: ignore[misc]
        def request(self, method, url, *args, **kwargs):
            kwargs.pop("allow_redirects", None)
            local = url.replace("https://api.twilio.com", twilio.url)
            return super().request(method, local, *args, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Client(ACCOUNT_SID, AUTH_TOKEN, http_client=Local(pool_connections=False))


def test_twilios_own_client_reads_what_we_sent(twilio, client):
    receipt = send()

    (message,) = client.messages.list(to=PHONE)
    assert message.sid == receipt.message_id
    assert (message.body, message.from_) == ("P0 API down", "+33757000000")
    assert message.status == "queued"


def test_twilios_own_client_is_refused_as_we_are(twilio, client):
    with pytest.raises(TwilioRestException) as theirs:
        client.messages.create(to="0612", from_="+33757000000", body="x")
    with pytest.raises(TransportError) as ours:
        send(to="0612")

    assert theirs.value.code == 21211
    assert "(21211)" in ours.value.detail
    assert ours.value.permanent
    # No other provider knows that number either.
    assert not ours.value.is_providers_fault


def test_the_request_is_what_twilio_wants(twilio):
    send()

    (asked,) = twilio.asked
    assert asked.form == {
        "To": PHONE,
        "From": "+33757000000",
        "Body": "P0 API down",
        "StatusCallback": STATUS_URL,
        "ValidityPeriod": "3600",
    }


def test_a_messaging_service_stands_in_its_own_field(twilio):
    service = "MG00112233445566778899aabbccddeeff"

    send(account=make_account(sender=service))

    form = twilio.asked[0].form
    assert form["MessagingServiceSid"] == service
    assert "From" not in form


def test_twilios_own_client_knows_what_a_call_asks_for(twilio, client):
    send(transport=TwilioVoiceTransport())
    ours = twilio.asked[0].form

    client.calls.create(
        to=PHONE,
        from_="+33757000000",
        twiml=ours["Twiml"],
        timeout=25,
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=STATUS_URL,
        status_callback=STATUS_URL,
    )

    assert twilio.asked[1].form == ours


def test_a_call_whose_callback_is_refused_is_made_and_listened_to(twilio):
    twilio.is_callback_refused = True

    send(transport=TwilioVoiceTransport())

    (call,) = twilio.calls
    assert call["_listens"]
    assert not call["_amd_callback"]


@pytest.mark.parametrize(
    ("status", "answered_by", "said"),
    [
        ("queued", None, None),
        ("ringing", None, "sent"),
        ("in-progress", None, "sent"),
        ("in-progress", "human", "delivered"),
        ("in-progress", "machine_start", "failed"),
        ("completed", "human", "delivered"),
        ("completed", "machine_end_beep", "failed"),
        ("completed", "fax", "failed"),
        ("completed", "unknown", "failed"),
        ("completed", None, "failed"),
        ("busy", None, "failed"),
        ("no-answer", None, "failed"),
    ],
)
def test_only_a_person_counts_as_told(twilio, status, answered_by, said):
    receipt = send(transport=TwilioVoiceTransport())
    twilio.calls[0] |= {"status": status, "answered_by": answered_by}

    found = TwilioVoiceTransport().ask(make_account(), receipt.message_id)

    assert (found.status if found else None) == said


def test_without_a_callback_it_is_sent_all_the_same(twilio):
    twilio.is_callback_refused = True

    receipt = send()

    assert [row["sid"] for row in twilio.messages] == [receipt.message_id]


@pytest.mark.parametrize(
    ("status", "body", "is_permanent", "is_providers"),
    [
        (401, {"code": 20003, "message": "Authenticate"}, True, True),
        (400, {"code": 21608, "message": "trial"}, True, True),
        (400, {"code": 21610, "message": "STOP"}, True, True),
        (400, {"code": 21614, "message": "landline"}, True, False),
        (429, {"code": 20429, "message": "Too many"}, False, True),
        (500, None, False, True),
        (503, {"message": "Down"}, False, True),
        (302, None, True, True),
        (201, {"no": "sid"}, True, True),
        (201, "not an object", True, True),
    ],
)
def test_each_refusal_says_whose_fault_it_is(
    twilio, status, body, is_permanent, is_providers
):
    twilio.moods.append(Mood(status, body, {"Retry-After": "7"}))

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent is is_permanent
    assert caught.value.is_providers_fault is is_providers
    assert not caught.value.is_perhaps_taken
    if status == 429:
        assert caught.value.retry_after_s == 7


def test_a_wrong_token_never_shows(twilio):
    twilio.moods.append(Mood(400, {"message": f"bad {AUTH_TOKEN}"}))

    with pytest.raises(TransportError) as caught:
        send()

    assert AUTH_TOKEN not in caught.value.detail


def test_a_refused_connection_has_taken_nothing(settings):
    settings.TWILIO_API_URL = "http://127.0.0.1:9"

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.is_providers_fault
    assert not caught.value.permanent
    assert not caught.value.is_perhaps_taken


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("notifications.transports.api.DEADLINE_S", 0.3)
    monkeypatch.setattr("notifications.transports.twilio_sms._LISTED_AFTER_S", 0)


def test_what_was_taken_is_found_when_the_answer_is_lost(twilio, impatient):
    twilio.moods.append(Mood(200, takes=True, delay_s=0.6))

    receipt = send()

    assert [row["sid"] for row in twilio.messages] == [receipt.message_id]


def test_a_hang_up_after_taking_it_is_looked_up(twilio, impatient):
    twilio.moods.append(Mood(0, takes=True))

    receipt = send()

    assert [row["sid"] for row in twilio.messages] == [receipt.message_id]


@pytest.mark.parametrize("takes", [True, False])
def test_nobody_knows_when_twilio_does_not_say(takes, twilio, impatient, monkeypatch):
    twilio.moods.append(Mood(0, takes=takes))

    def silent(*args, **kwargs):
        raise TransportError("down", permanent=False)

    if takes:
        monkeypatch.setattr(api, "find_message", silent)
    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.is_perhaps_taken


def test_what_left_before_a_crash_is_not_sent_twice(twilio):
    message = make_message(short="P0 API down")
    started_at = datetime.now(UTC)
    first = send(message)

    again = send(message.as_reminder(), earlier=Earlier(at=started_at, message=message))

    assert again.message_id == first.message_id
    assert len(twilio.messages) == 1


def test_what_did_not_leave_before_a_crash_is_a_reminder(twilio):
    message = make_message(short="P0 API down")
    send(make_message(short="P0 something else"))
    # The same words of an hour ago are another page.
    twilio.messages[0]["body"] = "P0 API down"
    twilio.messages[0]["date_created"] = "Mon, 16 Feb 2026 09:00:01 +0000"

    send(
        message.as_reminder(),
        earlier=Earlier(at=datetime.now(UTC) - timedelta(minutes=2), message=message),
    )

    assert twilio.messages[-1]["body"] == "Reminder P0 API down"


def test_several_numbers_get_one_each(twilio):
    twilio.refused["+33698765432"] = (21610, "STOP")

    receipt = send(to=f"{PHONE}, +33698765432, +33611111111")

    assert [row["to"] for row in twilio.messages] == [PHONE, "+33611111111"]
    assert receipt.detail["message_ids"] == [row["sid"] for row in twilio.messages]
    assert "+33698765432" in receipt.warning


def test_a_call_says_it_and_waits_for_a_key(twilio):
    message = make_message(
        title="API <down> & out", incident_id=42, text="", language="fr"
    )

    receipt = send(message, transport=TwilioVoiceTransport())

    (call,) = twilio.calls
    assert receipt.message_id == call["sid"]
    form = twilio.asked[0].form
    # Who answers is heard beside the message: nobody waits in silence for it.
    assert (form["MachineDetection"], form["AsyncAmd"]) == ("Enable", "true")
    assert form["AsyncAmdStatusCallback"] == form["StatusCallback"] == STATUS_URL
    response = ElementTree.fromstring(call["twiml"])
    gather = response.find("Gather")
    assert gather is not None
    assert gather.attrib["action"] == KEYPRESS_URL
    assert gather.attrib["numDigits"] == "1"
    say = gather.find("Say")
    assert say is not None
    assert say.attrib["language"] == "fr-FR"
    assert "API <down> & out" in str(say.text)


def test_a_call_about_nothing_offers_no_keys(twilio):
    send(transport=TwilioVoiceTransport())

    assert "Gather" not in twilio.calls[0]["twiml"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("queued", None),
        ("sent", Said("sent", "Twilio: sent")),
        ("delivered", Said("delivered", "Twilio: delivered")),
        ("undelivered", Said("failed", "Twilio: undelivered (30003)")),
    ],
)
def test_what_became_of_it_can_be_asked(twilio, status, said):
    receipt = send()
    code = 30003 if status == "undelivered" else None
    twilio.set_status(receipt.message_id, status, code)

    assert TwilioSmsTransport().ask(make_account(), receipt.message_id) == said
