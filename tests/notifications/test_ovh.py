"""OVHcloud, against a stand-in that its own client agrees with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import ovh as vendor_client
import pytest

from notifications.transports import ovh as api
from notifications.transports.base import (
    Account,
    Destination,
    Earlier,
    Said,
    TransportError,
)
from notifications.transports.ovh_sms import OvhSmsTransport, said
from tests.notifications.making import PHONE, make_message
from tests.notifications.vendors import (
    OVH_CONSUMER,
    OVH_KEY,
    OVH_SECRET,
    OVH_SERVICE,
    Mood,
)


@pytest.fixture(autouse=True)
def _their_clock_is_unknown():
    api._clocks._known.clear()


def make_account(**values):
    values.setdefault("key_id", OVH_KEY)
    values.setdefault("secret", OVH_SECRET)
    values.setdefault("second_secret", OVH_CONSUMER)
    values.setdefault("sender", "T4GOPS")
    return Account(id=2, kind="ovh", name="OVHcloud", account=OVH_SERVICE, **values)


def send(message=None, *, to=PHONE, account=None, earlier=None, key="incident:1:p:0"):
    return OvhSmsTransport().send(
        destination=Destination(
            key="address:1",
            kind="sms",
            address=to,
            account=account or make_account(),
            earlier=earlier,
        ),
        message=message or make_message(short="P0 API down", language="en"),
        idempotency_key=key,
    )


@pytest.fixture
def client(ovh, monkeypatch):
    """OVHcloud's own client, led to the stand-in."""
    monkeypatch.setitem(vendor_client.client.ENDPOINTS, "local", ovh.api_url)
    return vendor_client.Client(
        endpoint="local",
        application_key=OVH_KEY,
        application_secret=OVH_SECRET,
        consumer_key=OVH_CONSUMER,
    )


def test_ovhs_own_client_reads_what_we_sent(ovh, client):
    receipt = send()

    row = client.get(f"/sms/{OVH_SERVICE}/outgoing/{receipt.message_id}")
    assert (row["receiver"], row["message"]) == (PHONE, "P0 API down")
    assert client.get(f"/sms/{OVH_SERVICE}/outgoing", tag=row["tag"]) == [
        int(receipt.message_id)
    ]


def test_ovhs_own_client_is_refused_as_we_are(ovh, client):
    client._consumer_key = "another"

    with pytest.raises(vendor_client.exceptions.InvalidCredential):
        client.get(f"/sms/{OVH_SERVICE}/outgoing")
    with pytest.raises(TransportError) as ours:
        send(account=make_account(second_secret="another"))

    assert ours.value.permanent
    assert ours.value.is_providers_fault
    assert "Check the keys" in ours.value.detail


@pytest.mark.parametrize("key", ["key_id", "secret"])
def test_a_wrong_key_is_refused(ovh, key):
    with pytest.raises(TransportError) as caught:
        send(account=make_account(**{key: "wrong-wrong"}))

    assert caught.value.permanent
    assert ovh.jobs == []


def test_the_job_never_waits_for_daylight(ovh):
    send()

    (job,) = ovh.jobs
    assert job["noStopClause"] is True
    assert job["priority"] == "high"
    assert job["coding"] == "7bit"
    assert job["sender"] == "T4GOPS"
    assert job["receivers"] == [PHONE]
    assert len(job["tag"]) <= 20


def test_without_a_name_it_comes_from_a_number_that_takes_replies(ovh):
    send(account=make_account(sender=""))

    (job,) = ovh.jobs
    assert job["senderForResponse"] is True
    assert "sender" not in job


def test_their_clock_is_asked_once(ovh):
    send(key="a")
    send(key="b")

    assert [asked.path for asked in ovh.asked].count("/1.0/auth/time") == 1


def test_a_clock_that_was_set_is_asked_again(ovh):
    send(key="a")
    ovh.skew_s -= 3600

    send(key="b")

    assert len(ovh.jobs) == 2


def test_a_job_that_takes_nobody_is_a_refusal(ovh):
    ovh.invalid.add(PHONE)

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent
    assert PHONE in caught.value.detail


def test_a_job_that_takes_some_is_taken(ovh):
    ovh.invalid.add("+33698765432")

    receipt = send(to=f"{PHONE},+33698765432")

    assert len(receipt.detail["message_ids"]) == 1
    assert "+33698765432" in receipt.warning


def test_no_credit_is_for_another_provider(ovh):
    ovh.credits = 0

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent
    assert caught.value.is_providers_fault


@pytest.mark.parametrize("status", [429, 500, 503])
def test_their_trouble_passes(ovh, status):
    ovh.moods.append(Mood(status, {"message": "busy"}, {"Retry-After": "9"}))

    with pytest.raises(TransportError) as caught:
        send()

    assert not caught.value.permanent
    assert caught.value.retry_after_s == 9


def test_a_lost_answer_is_looked_up_by_its_tag(ovh):
    ovh.moods.append(Mood(0, takes=True))

    receipt = send()

    assert [int(receipt.message_id)] == list(ovh.outgoing)


def test_nobody_knows_when_nothing_is_listed(ovh):
    ovh.moods.append(Mood(0))

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.is_perhaps_taken


def test_what_left_before_a_crash_is_not_sent_twice(ovh):
    first = send()

    again = send(earlier=Earlier(at=datetime.now(UTC), message=make_message()))

    assert again.message_id == first.message_id
    assert len(ovh.jobs) == 1


def test_the_signature_is_the_documented_one():
    vectors = Path(__file__).with_name("signatures.json")
    (vector,) = [
        one
        for one in json.loads(vectors.read_text())
        if one["name"] == "ovh_x-ovh-signature"
    ]

    assert (
        api.signature(
            secret=vector["application_secret"],
            consumer=vector["consumer_key"],
            method=vector["method"],
            url=vector["url"],
            body=vector["body"],
            at=int(vector["timestamp"]),
        )
        == vector["expected"]
    )


@pytest.mark.parametrize(
    ("ptt", "receipt", "status"),
    [
        (1, 0, None),
        (3, 0, "sent"),
        (4, 1, "delivered"),
        (4, 0, "delivered"),
        (5, 2, "failed"),
        (8, 2, "failed"),
        (24, 2, "failed"),
        (26, 0, None),
        (None, 0, None),
    ],
)
def test_ptt_is_what_became_of_it(ptt, receipt, status):
    found = said(ptt, receipt)

    assert (found.status if found else None) == status


def test_what_became_of_it_can_be_asked(ovh):
    receipt = send()
    ovh.set_state(int(receipt.message_id), ptt=4, receipt=1)

    assert OvhSmsTransport().ask(make_account(), receipt.message_id) == Said(
        "delivered", "OVHcloud: ptt 4"
    )
    assert OvhSmsTransport().ask(make_account(), "99") is None
