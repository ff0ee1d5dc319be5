"""The signed webhook, checked with the standard's own verifier."""

from __future__ import annotations

import threading

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications.message import Fact, Section
from notifications.transports.base import Destination, TransportError
from notifications.transports.webhook import WebhookTransport
from tests.notifications.making import SIGNING_SECRET, make_message
from tests.notifications.servers import Answer


def send(receiver, message=None, *, secret=SIGNING_SECRET, key="incident:1:page:0"):
    return WebhookTransport().send(
        destination=Destination("channel:1", "webhook", receiver.url, secret),
        message=message or make_message(),
        idempotency_key=key,
    )


def test_the_standards_verifier_accepts_the_signature(receiver):
    receipt = send(receiver, make_message(title="é & <b>"))

    (request,) = receiver.requests
    verified = Webhook(SIGNING_SECRET).verify(request.body, request.headers)
    assert verified["data"]["title"] == "é & <b>"
    assert request.headers["webhook-id"] == "incident:1:page:0"
    assert receipt.detail == {"http_status": 200, "answer": "ok"}


def test_a_secret_without_its_prefix_signs_the_same(receiver):
    send(receiver, secret=SIGNING_SECRET.removeprefix("whsec_"))

    (request,) = receiver.requests
    assert Webhook(SIGNING_SECRET).verify(request.body, request.headers)


def test_a_changed_body_no_longer_verifies(receiver):
    send(receiver)

    (request,) = receiver.requests
    with pytest.raises(WebhookVerificationError):
        Webhook(SIGNING_SECRET).verify(request.body + b" ", request.headers)


def test_the_body_holds_the_whole_message(receiver):
    message = make_message(
        facts=(Fact("Since", "10:00"),),
        sections=(Section("Values", (Fact("Users", "12"),)),),
        thread_key="incident:7",
        is_first_in_thread=True,
    )

    send(receiver, message)

    (request,) = receiver.requests
    assert request.json["type"] == "notification"
    assert request.json["data"] == {
        "mark": "",
        "title": "Backend is down",
        "text": "HTTP 502 three times in a row",
        "tone": "alarm",
        "priority": "p0",
        "facts": [{"label": "Since", "value": "10:00"}],
        "sections": [
            {"heading": "Values", "facts": [{"label": "Users", "value": "12"}]}
        ],
        "url": "https://ops.example/incidents/42/",
        "thread_key": "incident:7",
        "is_first_in_thread": True,
        "language": "en",
    }


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [
        (301, True),
        (400, True),
        (401, True),
        (404, True),
        (410, True),
        (408, False),
        (425, False),
        (429, False),
        (500, False),
        (502, False),
        (503, False),
    ],
)
def test_the_status_decides_whether_another_try_makes_sense(
    receiver, status, is_permanent
):
    receiver.answers.append(Answer(status, "because"))

    with pytest.raises(TransportError) as caught:
        send(receiver)

    assert caught.value.permanent is is_permanent


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_a_receipt(receiver, status):
    receiver.answers.append(Answer(status, ""))

    assert send(receiver).detail["http_status"] == status


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_cannot_sign_sends_nothing(receiver, secret):
    with pytest.raises(TransportError, match="Enter it again") as caught:
        send(receiver, secret=secret)

    assert caught.value.permanent is True
    assert receiver.requests == []


def test_an_answer_that_does_not_come_is_no_proof_that_nothing_arrived(
    receiver, monkeypatch
):
    monkeypatch.setattr("notifications.transports.http.DEADLINE_S", 0.3)
    gate = threading.Event()
    receiver.answers.append(Answer(200, gate=gate))

    with pytest.raises(TransportError, match="No answer within") as late:
        send(receiver)
    gate.set()
    monkeypatch.setattr(receiver, "url", "http://127.0.0.1:9/")
    with pytest.raises(TransportError) as refused:
        send(receiver)

    assert late.value.is_perhaps_taken
    assert not refused.value.is_perhaps_taken
