"""An address counts when a code went there and came back, in time and in few tries."""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.db import connections

from notifications import verifying
from notifications.delivery import deliver_due
from notifications.models import Address, AddressVerification, Notification
from notifications.preview import preview
from notifications.verifying import UnableToSendCode, UnableToVerify
from tests.factories import make_address, make_contact
from tests.notifications.making import reread
from tests.notifications.servers import MailHost

pytestmark = pytest.mark.django_db(transaction=True)


def sent_code(address: Address, mail_host: MailHost, now: datetime) -> str:
    """Have a code sent and read it where its person reads it."""
    verifying.send_code(address=address, now=now)
    deliver_due(now=now)
    found = re.search(r"\d{6}", str(mail_host.mails[-1]["Subject"]))
    assert found is not None
    return found[0]


def other_than(code: str) -> str:
    return "000000" if code != "000000" else "111111"


@pytest.fixture
def address() -> Address:
    return make_address(is_verified=False, value="ana@example.org")


def test_the_code_that_came_back_verifies_the_address(now, address, mail_host):
    code = sent_code(address, mail_host, now)

    verifying.verify(address=address, code=f" {code[:3]} {code[3:]}", now=now)

    assert Address.objects.verified().get() == address
    assert Address.objects.get().verification.verified_at == now
    assert mail_host.mails[0]["To"] == "ana@example.org"


def test_the_code_is_stored_nowhere(now, address, mail_host):
    code = sent_code(address, mail_host, now)

    [row] = Notification.objects.all()
    stored = json.dumps([row.message, row.receipt, row.idempotency_key, row.outcome])
    proof = AddressVerification.objects.values().get()
    assert code not in stored
    assert code not in str({**proof, "code_nonce": ""})
    shown = preview(notification=row)
    assert code not in shown.subject + shown.text + shown.html
    assert verifying.HIDDEN in shown.subject


def test_an_edit_takes_the_proof_away(now, address, mail_host):
    verifying.verify(address=address, code=sent_code(address, mail_host, now), now=now)

    Address.objects.update(value="other@example.org")

    assert not Address.objects.verified().exists()


def test_a_code_proves_nothing_about_another_value(now, address, mail_host):
    code = sent_code(address, mail_host, now)
    Address.objects.update(value="other@example.org")

    with pytest.raises(UnableToVerify, match="No code was sent to this address"):
        verifying.verify(address=address, code=code, now=now)


def test_a_code_whose_address_was_edited_before_it_left_is_not_sent(
    now, address, mail_host
):
    row = verifying.send_code(address=address, now=now)
    Address.objects.update(value="other@example.org")

    deliver_due(now=now)

    assert reread(row).status == "cancelled"
    assert mail_host.mails == []


def test_a_wrong_code_uses_up_a_try_and_the_sixth_right_one_is_refused(
    now, address, mail_host
):
    code = sent_code(address, mail_host, now)

    said = []
    for _try in range(5):
        with pytest.raises(UnableToVerify) as refused:
            verifying.verify(address=address, code=other_than(code), now=now)
        said.append(str(refused.value))

    assert said[0] == "That is not the code. 4 tries are left."
    assert said[3] == "That is not the code. 1 try is left."
    assert "fifth time" in said[4]
    with pytest.raises(UnableToVerify, match="Too many wrong tries"):
        verifying.verify(address=address, code=code, now=now)


@pytest.mark.parametrize("late", [timedelta(minutes=10), timedelta(days=1)])
def test_a_code_is_good_for_ten_minutes(now, address, mail_host, late):
    code = sent_code(address, mail_host, now)

    with pytest.raises(UnableToVerify, match="too old"):
        verifying.verify(address=address, code=code, now=now + late)


@pytest.mark.parametrize("typed", ["", "é", "12345", "1234567", "\0", "x" * 10_000])
def test_what_is_no_code_is_a_wrong_code(now, address, mail_host, typed):
    sent_code(address, mail_host, now)

    with pytest.raises(UnableToVerify, match="4 tries"):
        verifying.verify(address=address, code=typed, now=now)


def test_a_code_verifies_once(now, address, mail_host):
    code = sent_code(address, mail_host, now)
    verifying.verify(address=address, code=code, now=now)

    with pytest.raises(UnableToVerify, match="No code was sent"):
        verifying.verify(address=address, code=code, now=now)


def test_a_new_code_replaces_the_one_before(now, address, mail_host):
    old = sent_code(address, mail_host, now)
    later = now + timedelta(minutes=1)
    new = sent_code(address, mail_host, later)

    if old != new:
        with pytest.raises(UnableToVerify):
            verifying.verify(address=address, code=old, now=later)
    verifying.verify(address=address, code=new, now=later)


def test_an_unsent_code_is_withdrawn_by_a_newer_one(now, address, mail_host):
    old = verifying.send_code(address=address, now=now)
    verifying.send_code(address=address, now=now + timedelta(minutes=1))

    deliver_due(now=now + timedelta(minutes=1))

    assert reread(old).status == "cancelled"
    assert len(mail_host.mails) == 1


def test_one_code_a_minute_and_ten_an_hour(now, mail_host):
    ana = make_contact()
    first = make_address(contact=ana, is_verified=False)
    verifying.send_code(address=first, now=now)
    with pytest.raises(UnableToSendCode, match="in 60 seconds"):
        verifying.send_code(address=first, now=now + timedelta(seconds=1))

    # Removing and adding it again doesn't start anew.
    for number in range(9):
        Address.objects.all().delete()
        again = make_address(contact=ana, is_verified=False)
        verifying.send_code(address=again, now=now + timedelta(minutes=number))
    again = make_address(contact=ana, is_verified=False)
    with pytest.raises(UnableToSendCode, match="within an hour"):
        verifying.send_code(address=again, now=now + timedelta(minutes=30))

    verifying.send_code(address=again, now=now + timedelta(minutes=70))


def test_nothing_goes_where_nothing_can_get(now, address, mail_host, settings):
    phone = make_address(kind="phone", value="+33612345678", is_verified=False)
    for off in (phone, make_address(is_enabled=False)):
        with pytest.raises(UnableToSendCode):
            verifying.send_code(address=off, now=now)
    settings.EMAIL_HOST = ""
    with pytest.raises(UnableToSendCode, match="EMAIL_HOST"):
        verifying.send_code(address=address, now=now)

    assert not Notification.objects.exists()
    assert not AddressVerification.objects.exclude(code_nonce="").exists()


def test_by_hand_counts_and_the_history_keeps_it(now, address):
    verifying.verify_by_hand(address=address, now=now)

    entry = LogEntry.objects.get_for_object(address.contact).first()
    assert Address.objects.verified().exists()
    assert entry is not None
    assert entry.changes["addresses"]["fields"] == {"verification": [None, "by hand"]}


def race(count: int, work: Any) -> list[Any]:
    """Do something several times at once, each on a connection of its own."""
    start, results = threading.Barrier(count), []

    def run() -> None:
        start.wait()
        try:
            results.append(work())
        except (UnableToVerify, UnableToSendCode) as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _each in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def test_guesses_at_the_same_moment_get_no_more_tries(now, address, mail_host):
    code = sent_code(address, mail_host, now)

    results = race(
        12,
        lambda: verifying.verify(
            address=Address.objects.get(), code=other_than(code), now=now
        ),
    )

    said = [str(one) for one in results]
    assert len([one for one in said if one.startswith("That is not")]) == 5
    assert len([one for one in said if one.startswith("Too many")]) == 7


def test_the_right_code_at_the_same_moment_verifies_once(now, address, mail_host):
    code = sent_code(address, mail_host, now)

    results = race(
        4,
        lambda: verifying.verify(address=Address.objects.get(), code=code, now=now),
    )

    assert results.count(None) == 1
    assert Address.objects.verified().exists()


def test_two_clicks_at_the_same_moment_send_one_code(now, address, mail_host):
    results = race(
        4, lambda: verifying.send_code(address=Address.objects.get(), now=now)
    )

    assert len([one for one in results if isinstance(one, Notification)]) == 1
    assert Notification.objects.count() == 1
