"""Acknowledging by an answer to an SMS and by a key on the phone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from incidents import intake, services
from incidents.inbound import acting
from incidents.inbound.acting import Act
from incidents.inbound.sms import Reply, read
from incidents.messages import Reason, build, story_of
from incidents.models import Incident, IncidentEvent
from notifications import gsm7
from notifications.models import Address, Notification, Provider, SeenCall
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import kinds, make_incident, outbox, reread
from tests.incidents.test_racing import race
from tests.notifications.making import make_notification

ACCOUNT = "AC00112233445566778899aabbccddeeff"
TOKEN = "12345t4gauthtoken"
ANAS = "+33612345678"
SMS = "/hooks/twilio/sms"
VOICE = "/hooks/twilio/voice"


@pytest.fixture(autouse=True)
def portal(settings: Any) -> None:
    settings.PORTAL_URL = "https://ops.token4good.com"
    settings.PORTAL_LANGUAGE = "en"


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def make_account(**values: Any) -> Provider:
    values.setdefault("name", "Twilio")
    values.setdefault("account", ACCOUNT)
    values.setdefault("voice_sender", "+33757000001")
    return Provider.objects.create(
        kind="twilio", is_enabled=True, secret=TOKEN, sender="+33757000000", **values
    )


def make_paged(now: datetime, **values: Any) -> tuple[Incident, Address]:
    """An incident about which Ana was told on her phone."""
    make_account()
    make_priority_rules(make_channel())
    values.setdefault("contact", make_contact(name="Ana", language="en"))
    address = make_address(kind="phone", value=ANAS, **values)
    incident = make_incident(now=now)
    make_call(now, incident, address)
    return incident, address


def make_call(now: datetime, incident: Incident, address: Address) -> Notification:
    return make_notification(
        now=now,
        address=address,
        method="voice",
        subject_key=f"incident:{incident.pk}",
        message=build(
            story=story_of(incident=incident, reason=Reason.OPENED, now=now),
            language="en",
            is_first_in_thread=True,
            has_mention=False,
        ),
    )


def post(path: str, form: dict[str, str], **headers: str) -> Any:
    signature = RequestValidator(TOKEN).compute_signature(
        f"https://ops.token4good.com{path}", form
    )
    return Client(enforce_csrf_checks=True).post(
        path,
        urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": signature, **headers},
    )


def _fail(**values: Any) -> None:
    raise RuntimeError("the connection is gone")


def sms(text: str, *, sender: str = ANAS, sid: str = "") -> str:
    """Send an SMS to the portal; return what it answers, empty for nothing."""
    number = SeenCall.objects.count()
    answer = post(
        SMS,
        {
            "MessageSid": sid or f"SM{number:032d}",
            "AccountSid": ACCOUNT,
            "From": sender,
            "To": "+33757000000",
            "Body": text,
        },
    )
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/xml")
    said = re.findall("<Message>(.*)</Message>", answer.content.decode())
    return said[0] if said else ""


def key(digit: str, row: Notification, *, call: str = "CA1", to: str = ANAS) -> str:
    answer = post(
        f"{VOICE}?n={row.pk}",
        {"CallSid": call, "AccountSid": ACCOUNT, "To": to, "Digits": digit},
    )
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1a", Reply(Act.ACKNOWLEDGE, 1)),
        ("1A", Reply(Act.ACKNOWLEDGE, 1)),
        (" 12 a ", Reply(Act.ACKNOWLEDGE, 12)),
        ("a1", Reply(Act.ACKNOWLEDGE, 1)),
        ("Ack 7.", Reply(Act.ACKNOWLEDGE, 7)),
        ("“1a”", Reply(Act.ACKNOWLEDGE, 1)),
        ("1 à", Reply(Act.ACKNOWLEDGE, 1)),
        ("1À.", Reply(Act.ACKNOWLEDGE, 1)),
        ("1a=ack", Reply(Act.ACKNOWLEDGE, 1)),
        ("1a = acquitter", Reply(Act.ACKNOWLEDGE, 1)),
        ("1=a", None),
        ("1а", None),
        ('"1a"', Reply(Act.ACKNOWLEDGE, 1)),
        ("7 acquitter", Reply(Act.ACKNOWLEDGE, 7)),
        ("1e", Reply(Act.ESCALATE, 1)),
        ("1r", Reply(Act.RESOLVE, 1)),
        ("1 résoudre", Reply(Act.RESOLVE, 1)),
        ("", None),
        ("1", None),
        ("a", None),
        ("1x", None),
        ("1a2", None),
        ("12345a", None),
        ("-1a", None),
        ("1a please", None),
        ("STOP", None),
        ("١a", Reply(Act.ACKNOWLEDGE, 1)),
    ],
)
def test_reply_is_read(text: str, expected: Reply | None):
    assert read(text) == expected


class TestSms:
    pytestmark = pytest.mark.django_db

    def test_reply_acknowledges_as_the_person_by_sms(self, now: datetime):
        incident, address = make_paged(now)

        answer = sms(f"{incident.short_code}a")

        taken = reread(incident)
        assert taken.status == Incident.Status.ACKNOWLEDGED
        assert taken.acknowledged_by_contact == address.contact
        line = IncidentEvent.objects.get(incident=incident, kind="acknowledged")
        assert (line.who, line.via) == ("Ana", "sms")
        assert "API health is down" in answer
        assert "Acknowledged. Nobody is paged" in answer
        assert gsm7.is_gsm7(answer)

    def test_reply_that_twilio_brings_twice_counts_once(self, now: datetime):
        incident, _address = make_paged(now)

        answers = [sms(f"{incident.short_code}a", sid="SM1") for _ in range(2)]

        assert answers[0]
        assert answers[1] == ""
        assert kinds(incident).count("acknowledged") == 1

    def test_reply_of_long_ago_acknowledges_nothing_new(self, now: datetime):
        incident, _address = make_paged(now)
        text = f"{incident.short_code}a"
        sms(text, sid="SM1")
        services.resolve_incident(
            incident_id=incident.pk,
            user=make_user(),
            via="web",
            now=now,
            even_if_firing=True,
        )
        # Two weeks later the short number is another incident's.
        SeenCall.objects.update(seen_at=now - timedelta(days=14))
        Incident.objects.update(short_code=None)
        later = make_incident(now=now, dedup_key="later")
        assert later.short_code == incident.short_code

        assert sms(text, sid="SM1") == ""

        assert reread(later).status == Incident.Status.TRIGGERED

    def test_reply_escalates(self, now: datetime):
        incident, _address = make_paged(now)

        assert "Escalated" in sms(f"{incident.short_code}e")

        line = IncidentEvent.objects.get(incident=incident, kind="escalated_now")
        assert (line.who, line.via) == ("Ana", "sms")

    def test_reply_resolves_what_fires_no_more(self, now: datetime):
        incident, _address = make_paged(now)

        assert "still fire" in sms(f"{incident.short_code}r")

        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_reply_after_the_end_says_so(self, now: datetime):
        incident, _address = make_paged(now)
        services.resolve_incident(
            incident_id=incident.pk,
            user=make_user(),
            via="web",
            now=now,
            even_if_firing=True,
        )
        before = kinds(incident)

        assert "already resolved" in sms(f"{incident.short_code}a")

        assert kinds(incident) == before

    def test_reply_when_somebody_has_it_says_who(self, now: datetime):
        incident, _address = make_paged(now)
        bob = make_user(first_name="Bob")
        services.acknowledge(incident_id=incident.pk, user=bob, via="web", now=now)

        assert "Bob has already acknowledged it." in sms(f"{incident.short_code}a")

        assert reread(incident).holder == "Bob"

    def test_number_of_no_incident_is_said(self, now: datetime):
        make_paged(now)

        assert sms("999a") == "No incident has the number 999."

    def test_other_text_gets_help_once_an_hour(self, now: datetime):
        incident, _address = make_paged(now)

        first = sms("what is this?")
        assert "Reply 1a to acknowledge" in first
        assert f"{incident.short_code} = P0" in first
        assert [sms("hello?"), sms("STOP")] == ["", ""]

        SeenCall.objects.update(seen_at=now - timedelta(hours=1, seconds=1))
        assert sms("hello again") != ""

    def test_unknown_number_is_told_once_and_nothing_is_done(self, now: datetime):
        incident, _address = make_paged(now)

        first = sms(f"{incident.short_code}a", sender="+33699999999")

        assert "does not know this number" in first
        assert sms(f"{incident.short_code}a", sender="+33699999999") == ""
        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_unverified_number_is_unknown(self, now: datetime):
        incident, address = make_paged(now)
        address.verification.delete()

        assert "does not know" in sms(f"{incident.short_code}a")

        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_shared_phone_is_whoever_was_paged_on_it_last(self, now: datetime):
        incident, _address = make_paged(now)
        bob = make_address(
            kind="phone", value=ANAS, contact=make_contact(name="Bob", language="en")
        )
        make_call(now, incident, bob)

        sms(f"{incident.short_code}a")

        assert reread(incident).holder == "Bob"

    def test_act_that_fails_is_not_remembered_as_done(
        self, now: datetime, monkeypatch: pytest.MonkeyPatch
    ):
        incident, _address = make_paged(now)
        text = f"{incident.short_code}a"
        with monkeypatch.context() as patch:
            patch.setattr(acting, "perform", _fail)
            with pytest.raises(RuntimeError):
                sms(text, sid="SM1")

        assert "Acknowledged" in sms(text, sid="SM1")

    def test_long_title_never_hides_what_became_of_it(self, now: datetime):
        incident, _address = make_paged(now)
        Incident.objects.filter(pk=incident.pk).update(title="x" * 300)

        assert sms(f"{incident.short_code}a").startswith("Acknowledged.")

    def test_help_names_ones_own_incident_behind_more_urgent_ones(self, now: datetime):
        incident, _address = make_paged(now)
        for _ in range(4):
            make_incident(now=now)
        Incident.objects.filter(pk=incident.pk).update(priority="p2")

        assert f"{incident.short_code} = P2" in sms("what is this?")

    def test_who_was_paged_about_a_merged_incident_may_act_on_the_other(
        self, now: datetime
    ):
        incident, _address = make_paged(now)
        bob = make_address(
            kind="phone", value=ANAS, contact=make_contact(name="Bob", language="en")
        )
        make_call(now, incident, bob)
        target = make_incident(now=now)
        Incident.objects.filter(pk=incident.pk).update(
            merged_into=target, status="resolved", resolved_at=now
        )

        sms(f"{incident.short_code}a")

        assert reread(target).holder == "Bob"

    def test_answer_speaks_the_persons_language(self, now: datetime):
        incident, _address = make_paged(
            now, contact=make_contact(name="Aïcha", language="fr")
        )

        sms(f"{incident.short_code}a")

        assert reread(incident).holder == "Aïcha"


class TestVoice:
    pytestmark = pytest.mark.django_db

    def test_key_one_acknowledges_as_the_person_by_phone(self, now: datetime):
        incident, address = make_paged(now)

        said = key("1", Notification.objects.latest("pk"))

        taken = reread(incident)
        assert taken.acknowledged_by_contact == address.contact
        line = IncidentEvent.objects.get(incident=incident, kind="acknowledged")
        assert (line.who, line.via) == ("Ana", "voice")
        assert '<Say language="en-US">Acknowledged.' in said

    def test_key_two_escalates(self, now: datetime):
        incident, _address = make_paged(now)

        assert "Escalated" in key("2", Notification.objects.latest("pk"))

        assert "escalated_now" in kinds(incident)

    def test_other_key_says_it_again(self, now: datetime):
        incident, _address = make_paged(now)
        row = Notification.objects.latest("pk")

        said = key("5", row)

        assert "<Gather" in said
        assert f"{VOICE}?n={row.pk}" in said
        assert reread(incident).status == Incident.Status.TRIGGERED

    @pytest.mark.parametrize("digit", ["1", "5"])
    def test_key_proves_a_person_whatever_was_heard(self, now: datetime, digit: str):
        make_paged(now)
        row = Notification.objects.latest("pk")
        pk = Provider.objects.get().pk
        Notification.objects.filter(pk=row.pk).update(
            status="sent", provider_message_id=f"{pk}:CA1", delivery_status="failed"
        )

        key(digit, row)

        row.refresh_from_db()
        assert row.delivery_status == "delivered"
        assert row.reports.get().detail == f"Twilio: key pressed ({digit})"

    def test_same_key_of_a_call_counts_once(self, now: datetime):
        incident, _address = make_paged(now)
        row = Notification.objects.latest("pk")

        for _press in range(2):
            key("2", row)

        assert kinds(incident).count("escalated_now") == 1

    def test_key_after_the_end_says_so(self, now: datetime):
        incident, _address = make_paged(now)
        row = Notification.objects.latest("pk")
        services.resolve_incident(
            incident_id=incident.pk,
            user=make_user(),
            via="web",
            now=now,
            even_if_firing=True,
        )

        assert "already resolved" in key("1", row)

    def test_call_to_a_shared_phone_that_nobody_owns_does_nothing(self, now: datetime):
        incident, address = make_paged(now)
        row = Notification.objects.latest("pk")
        Notification.objects.filter(pk=row.pk).update(
            address=None, channel=outbox("page")[0].channel
        )
        address.delete()

        assert "nothing was done" in key("1", row, to=ANAS)

        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_number_of_no_row_is_refused(self, now: datetime):
        make_paged(now)
        for number in ("", "x", "0", "9" * 30):
            answer = post(
                f"{VOICE}?n={number}",
                {"CallSid": "CA1", "AccountSid": ACCOUNT, "Digits": "1"},
            )
            assert answer.status_code == 400


class TestRefusals:
    pytestmark = pytest.mark.django_db

    @pytest.fixture
    def incident(self, now: datetime) -> Incident:
        return make_paged(now)[0]

    @pytest.fixture
    def form(self, incident: Incident) -> dict[str, str]:
        return {
            "MessageSid": "SM1",
            "CallSid": "CA1",
            "AccountSid": ACCOUNT,
            "From": ANAS,
            "Body": f"{incident.short_code}a",
            "Digits": "1",
        }

    @pytest.fixture(params=[SMS, f"{VOICE}?n=1"])
    def path(self, request: Any) -> str:
        return str(request.param)

    def test_forged_and_stale_accounts(
        self, incident: Incident, form: dict[str, str], path: str, caplog: Any
    ):
        bad = {"X-Twilio-Signature": "zB/8HeircUnwBWYOSaiMAW2nSvI="}
        for answer in (
            post(path, form, **bad),
            post(path, form, **{"X-Twilio-Signature": ""}),
            post(path, {**form, "AccountSid": "AC0"}),
            post(path, {**form, "AccountSid": ""}),
        ):
            assert answer.status_code == 401
        Provider.objects.update(is_enabled=False)
        assert post(path, form).status_code == 401

        assert reread(incident).status == Incident.Status.TRIGGERED
        assert TOKEN not in caplog.text
        assert ANAS not in caplog.text

    def test_other_address_than_the_signed_one(
        self, incident: Incident, form: dict[str, str], path: str
    ):
        signature = RequestValidator(TOKEN).compute_signature(
            "https://ops.token4good.com/elsewhere", form
        )
        answer = post(path, form, **{"X-Twilio-Signature": signature})

        assert answer.status_code == 401

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"x" * 70_000, 413),
            (b"\xff", 400),
            (b"a=1&a=2", 400),
            (b"Body=%00", 400),
            (b"", 401),
        ],
    )
    def test_oversized_and_malformed(
        self, incident: Incident, path: str, body: bytes, status: int
    ):
        answer = Client().post(
            path,
            body,
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": "x"},
        )

        assert answer.status_code == status

    def test_sms_without_sender(self, incident: Incident, form: dict[str, str]):
        assert post(SMS, {**form, "From": ""}).status_code == 400

    def test_get_is_not_offered(self, incident: Incident, path: str):
        assert Client().get(path).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_two_ways_at_once_have_one_act(now: datetime):
    incident, _address = make_paged(now)
    row = Notification.objects.latest("pk")

    race(
        partial(sms, f"{incident.short_code}a", sid="SM1"),
        partial(key, "1", row),
        partial(sms, f"{incident.short_code}a", sid="SM2"),
    )

    assert kinds(incident).count("acknowledged") == 1
    assert reread(incident).holder == "Ana"


@pytest.mark.django_db(transaction=True)
def test_reply_racing_the_end_leaves_it_resolved(now: datetime):
    incident, _address = make_paged(now)
    dedup_key = incident.alerts.get().dedup_key

    race(
        partial(sms, f"{incident.short_code}a"),
        partial(intake.resolve, dedup_key=dedup_key, now=now),
    )

    assert reread(incident).status == Incident.Status.RESOLVED
    assert outbox("page", "queued") == []
