"""What others send us: bounds, signatures, and that it counts once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as some
from slack_sdk.signature import Clock, SignatureVerifier
from twilio.request_validator import RequestValidator

from notifications.inbound import receiving, seen, slack, twilio
from notifications.models import SeenCall

SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = b"payload=%7B%22type%22%3A%22block_actions%22%7D"
SLACK_SIGNED_AT = 1771232400
SLACK_SIGNATURE = "v0=d1aa085b23f6c4583519ca616472ba5886d9ee9af78251ec466c23ef441f72fa"
TWILIO_TOKEN = "12345t4gauthtoken"
TWILIO_URL = "https://ops.token4good.com/hooks/twilio/status/7f3a"
TWILIO_PARAMS = {
    "MessageSid": "SM0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "MessageStatus": "delivered",
    "To": "+33612345678",
    "From": "+33757000000",
    "AccountSid": "AC00112233445566778899aabbccddeeff",
    "ApiVersion": "2010-04-01",
}
TWILIO_SIGNATURE = "zB/8HeircUnwBWYOSaiMAW2nSvI="


class FixedClock(Clock):
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def test_known_slack_signature_is_accepted():
    assert slack.is_signed(
        body=SLACK_BODY,
        timestamp=str(SLACK_SIGNED_AT),
        signature=SLACK_SIGNATURE,
        secret=SLACK_SECRET,
    )


@given(
    body=some.binary(max_size=300),
    at=some.integers(min_value=0, max_value=4_000_000_000),
    secret=some.text(alphabet="0123456789abcdef", min_size=1),
    skew=some.integers(min_value=-400, max_value=400),
    spoil=some.sampled_from(["", "body", "timestamp", "secret", "signature"]),
)
def test_slack_signature_is_judged_as_slacks_own_library_does(
    body: bytes, at: int, secret: str, skew: int, spoil: str
):
    asked_at = max(at + skew, 0)
    theirs = SignatureVerifier(secret, clock=FixedClock(asked_at))
    text = body.decode("latin-1").encode()
    signature = theirs.generate_signature(timestamp=str(at), body=text) or ""
    if spoil == "signature":
        signature = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    sent: dict[str, Any] = {
        "body": text + (b"x" if spoil == "body" else b""),
        "timestamp": str(at + (spoil == "timestamp")),
        "signature": signature,
    }

    ours = slack.is_signed(
        **sent, secret=secret + ("x" if spoil == "secret" else "")
    ) and slack.is_fresh(
        timestamp=sent["timestamp"], now=datetime.fromtimestamp(asked_at, UTC)
    )

    if spoil == "secret":
        theirs = SignatureVerifier(secret + "x", clock=FixedClock(asked_at))
    assert ours == theirs.is_valid(**sent)


@pytest.mark.parametrize(
    "sent",
    [
        {"signature": ""},
        {"signature": "v0="},
        {"signature": "v0=é"},
        {"signature": SLACK_SIGNATURE.upper()},
        {"timestamp": ""},
        {"timestamp": "é"},
        {"secret": ""},
        {"body": b""},
    ],
)
def test_broken_slack_signature_is_refused(sent: dict[str, Any]):
    whole = {
        "body": SLACK_BODY,
        "timestamp": str(SLACK_SIGNED_AT),
        "signature": SLACK_SIGNATURE,
        "secret": SLACK_SECRET,
    }

    assert not slack.is_signed(**{**whole, **sent})


@pytest.mark.parametrize(
    ("timestamp", "is_fresh"),
    [
        ("1771232400", True),
        (str(SLACK_SIGNED_AT - 300), True),
        (str(SLACK_SIGNED_AT + 300), True),
        (str(SLACK_SIGNED_AT - 301), False),
        (str(SLACK_SIGNED_AT + 301), False),
        ("", False),
        ("now", False),
        ("-5", False),
        ("١٧٧", False),
        ("9" * 400, False),
    ],
)
def test_signature_lives_five_minutes(timestamp: str, is_fresh: bool):
    now = datetime.fromtimestamp(SLACK_SIGNED_AT, UTC)

    assert slack.is_fresh(timestamp=timestamp, now=now) == is_fresh


def test_known_twilio_signature_is_accepted():
    assert twilio.verify(
        url=TWILIO_URL,
        params=TWILIO_PARAMS,
        signature=TWILIO_SIGNATURE,
        auth_token=TWILIO_TOKEN,
    )


@given(
    params=some.dictionaries(
        some.text(min_size=1, max_size=10), some.text(max_size=20)
    ),
    token=some.text(alphabet="0123456789abcdef", min_size=1),
    host=some.sampled_from(["ops.example", "ops.example:443", "ops.example:8443"]),
    query=some.sampled_from(["", "?n=12", "?n=12&m=%20é"]),
    spoil=some.booleans(),
)
def test_twilio_signature_is_judged_as_twilios_own_library_does(
    params: dict[str, str], token: str, host: str, query: str, spoil: bool
):
    theirs = RequestValidator(token)
    url = f"https://{host}/hooks/twilio/sms{query}"
    signature = theirs.compute_signature(url, params)
    sent = {**params, "To": "+33700000000"} if spoil else params

    ours = twilio.verify(url=url, params=sent, signature=signature, auth_token=token)

    assert ours == theirs.validate(url, sent, signature)


@pytest.mark.parametrize(
    "sent",
    [
        {"signature": ""},
        {"signature": "é"},
        {"auth_token": ""},
        {"url": TWILIO_URL + "?n=1"},
        {"url": TWILIO_URL.replace("https", "http")},
        {"params": {**TWILIO_PARAMS, "MessageStatus": "failed"}},
        {"params": {}},
    ],
)
def test_broken_twilio_signature_is_refused(sent: dict[str, Any]):
    whole = {
        "url": TWILIO_URL,
        "params": TWILIO_PARAMS,
        "signature": TWILIO_SIGNATURE,
        "auth_token": TWILIO_TOKEN,
    }

    assert not twilio.verify(**{**whole, **sent})


def test_twilio_signs_with_or_without_the_usual_port():
    theirs = RequestValidator(TWILIO_TOKEN)
    for signed, called in (
        ("https://ops.example:443/a", "https://ops.example/a"),
        ("https://ops.example/a", "https://ops.example:443/a"),
    ):
        signature = theirs.compute_signature(signed, {"a": "b"})

        assert twilio.verify(
            url=called,
            params={"a": "b"},
            signature=signature,
            auth_token=TWILIO_TOKEN,
        )


def press(**values: Any) -> bytes:
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {"id": "U0T4GAICHA", "name": "aicha", "team_id": "T0T4G"},
        "team": {"id": "T0T4G"},
        "actions": [{"action_id": "incident_ack", "value": "42"}],
        "response_url": "https://hooks.slack.com/actions/T0T4G/111/abc",
    }
    payload.update(values)
    return urlencode({"payload": json.dumps(payload)}).encode()


def test_press_is_read():
    assert slack.press_of(press()) == slack.Press(
        user_id="U0T4GAICHA",
        team_id="T0T4G",
        action_id="incident_ack",
        value="42",
        response_url="https://hooks.slack.com/actions/T0T4G/111/abc",
    )


def test_what_is_no_press_is_nothing():
    assert slack.press_of(press(type="view_closed")) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"payload=",
        b"payload=%7B",
        b"payload=%5B%5D",
        b"payload=" + b"%5B" * 9000,
        b"payload=%FF%FE",
        b"\xff\xfe",
        b"&".join(b"a%d=1" % number for number in range(300)),
        press(actions=[]),
        press(actions="x"),
        press(user={}),
        press(user=[]),
        press(user={"id": 7}),
        press(user={"id": "U\x00"}),
        press(user={"id": "U\ud800"}),
    ],
)
def test_malformed_press_is_refused(body: bytes):
    with pytest.raises(receiving.Refused) as refusal:
        slack.press_of(body)

    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x" * 65_536, 200), (b"x" * 65_537, 413), (b"", 200)],
)
def test_body_is_read_up_to_64_kilobytes(body: bytes, status: int):
    @receiving.callback
    def view(request: Any) -> HttpResponse:
        return HttpResponse(receiving.body_of(request))

    request = RequestFactory().post("/x", body, content_type="text/plain")
    answer = view(request)

    assert answer.status_code == status
    assert status != 200 or answer.content == body


def test_field_that_comes_twice_is_refused():
    for body in (b"a=1&a=2", b"a=%00"):
        with pytest.raises(receiving.Refused):
            receiving.form_of(body)


@pytest.mark.django_db
def test_key_is_new_once_within_its_time(now: datetime):
    hour = timedelta(hours=1)

    assert seen.is_new(key="help:+33", now=now, within=hour)
    assert not seen.is_new(key="help:+33", now=now + hour / 2, within=hour)
    assert seen.is_new(key="help:+44", now=now, within=hour)
    # The refused one in between prolongs nothing.
    assert seen.is_new(key="help:+33", now=now + hour, within=hour)


@pytest.mark.django_db
def test_old_keys_are_forgotten(now: datetime):
    seen.is_new(key="old", now=now - timedelta(days=401), within=seen.LONGEST)
    seen.is_new(key="young", now=now, within=seen.LONGEST)

    assert seen.forget(now=now) == 1
    assert SeenCall.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_key_that_comes_eight_times_at_once_is_new_once(now: datetime):
    results: list[bool] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(timeout=20)
        results.append(seen.is_new(key="k", now=now, within=seen.LONGEST))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert sorted(results) == [False] * 7 + [True]
