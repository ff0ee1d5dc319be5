"""The chain is verified each night, and what is wrong with it is an incident."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from checklists.auditing import checks
from checklists.auditing.anchors import send_due
from checklists.auditing.checks import ALERT_KEY, check, check_due, seen
from checklists.models import AuditCheck
from incidents import sources
from incidents.models import Alert, Incident
from notifications.models import Notification
from t4g_portal.lib.audit.chain import Link
from t4g_portal.lib.audit.models import AuditEntry
from tests.checklists.test_audit_anchors import make_anchor, make_entry
from tests.lib.audit.test_verifying import rewrite_from, take_over

pytestmark = pytest.mark.django_db

# 03:00 in Paris.
NIGHT = datetime(2026, 11, 27, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def tamper(seq: int, *, is_rewritten: bool = False) -> None:
    take_over()
    AuditEntry.objects.filter(seq=seq).update(actor_name="Eve")
    if is_rewritten:
        rewrite_from(seq, until=AuditEntry.objects.count())


def verify(*options: str) -> tuple[int, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("audit_verify", *options, stdout=out, stderr=err)
    except CommandError as error:
        return 1, out.getvalue() + str(error)
    return 0, out.getvalue()


def test_chain_is_verified_once_a_night():
    make_entry()

    made = [check_due(now=NIGHT + at * HOUR) for at in range(-1, 26)]

    assert [at - 1 for at, found in enumerate(made) if found] == [-1, 0, 24]
    assert seen().is_intact
    assert seen().sentence.startswith("Intact up to entry 1, verified ")


def test_check_of_a_clock_that_ran_ahead_holds_up_no_other():
    check(now=NIGHT + 40 * DAY)

    assert check_due(now=NIGHT) is not None


def test_wrong_entry_is_an_incident_that_names_it():
    for _ in range(4):
        make_entry()
    tamper(3)

    made = check(now=NIGHT)

    assert made is not None
    assert (made.wrong, made.wrong_seq, made.seq) == ("changed", 3, 2)
    alert = Alert.objects.get(dedup_key=ALERT_KEY)
    assert alert.title == "Audit entry 3 was changed after it was written"
    assert alert.priority == "p1"
    assert "Entries up to 2 are as they were written" in alert.detail
    assert Incident.objects.get().service.slug == "portal"
    assert sources.url_of(alert.source).endswith(f"/auditcheck/{made.pk}/change/")
    assert sources.names_of([alert.source])


def test_check_that_finds_all_in_order_ends_the_incident():
    make_entry()
    take_over()
    AuditEntry.objects.update(actor_name="Eve")
    check(now=NIGHT)
    AuditEntry.objects.update(actor_name="test")

    check(now=NIGHT + DAY)

    assert Alert.objects.get().status == Alert.Status.RESOLVED
    assert seen().is_intact


def test_chain_that_was_written_anew_is_found_by_what_was_mailed():
    for _ in range(3):
        make_entry()
    make_anchor()
    send_due(now=NIGHT + 4 * HOUR)
    make_entry()
    tamper(2, is_rewritten=True)

    made = check(now=NIGHT + DAY)

    assert made is not None
    assert (made.wrong, made.wrong_seq, made.seq) == ("not_the_known", 3, 0)


def test_letter_raises_the_alarm_as_long_as_an_entry_is_wrong():
    make_entry()
    tamper(1)
    check(now=NIGHT)
    make_anchor()

    send_due(now=NIGHT + 4 * HOUR)

    message = Notification.objects.get(purpose="audit_head").message
    assert message["tone"] == "alarm"
    assert message["text"].startswith("Audit entry 1 was changed after it was written")


def test_only_one_process_verifies_at_a_time():
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [checks._LOCK])

        assert check(now=NIGHT) is None
    finally:
        other.close()
    assert not AuditCheck.objects.exists()


def test_page_hears_how_many_entries_came_since():
    make_entry()
    check(now=NIGHT)
    make_entry()
    make_entry()

    assert (seen().newer_count, seen().head.seq) == (2, 3)


def test_command_says_that_all_is_in_order():
    entry = make_entry()

    code, said = verify()

    assert code == 0
    assert "1 entries in order" in said
    assert f"Intact. Head 1:{entry.hash}" in said


def test_command_names_the_first_wrong_entry():
    for _ in range(4):
        make_entry()
    tamper(3)

    code, said = verify()

    assert code == 1
    assert "Intact up to entry 2." in said
    assert "Entry 3 is wrong: its contents are not what its hash says." in said


def test_command_compares_a_head_from_a_mail():
    kept = Link(2, [make_entry().hash, make_entry().hash][1])
    make_entry()
    head = f"{kept.seq}:{kept.hash}"

    assert verify("--head", head.upper())[0] == 0
    tamper(1, is_rewritten=True)
    assert verify()[0] == 0
    code, said = verify("--head", head)
    assert code == 1
    assert "Entry 2 is wrong" in said


def test_command_prints_json():
    for _ in range(3):
        make_entry()
    tamper(2)

    code, said = verify("--json")

    found = json.loads(re.match(r"\{.*\}", said).group())  # type: ignore[union-attr]
    assert code == 1
    assert found["fault"] == {"seq": 2, "wrong": "changed"}
    assert found["intact_until"]["seq"] == 1
    assert not found["is_intact"]


def test_command_notes_the_outcome_when_asked():
    make_entry()
    take_over()
    AuditEntry.objects.update(actor_name="Eve")
    verify("--note")
    AuditEntry.objects.update(actor_name="test")

    assert Alert.objects.get().status == Alert.Status.FIRING
    assert verify("--note")[0] == 0
    assert Alert.objects.get().status == Alert.Status.RESOLVED
    assert AuditCheck.objects.count() == 2


@pytest.mark.parametrize(
    "head", ["12", "x:" + "0" * 64, "1:" + "g" * 64, "0:" + "0" * 64]
)
def test_command_refuses_what_is_no_head(head):
    with pytest.raises(CommandError, match="is no head"):
        call_command("audit_verify", "--head", head)
