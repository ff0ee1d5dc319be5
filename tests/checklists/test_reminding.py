"""Who is reminded of what of a run, when, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from checklists import queries, standing
from checklists.actors import engine, person
from checklists.models import ChecklistRun, Reminder
from checklists.reminding import remind_due
from checklists.services import items, runs, signing
from notifications.models import Contact, Notification
from tests.checklists.making import (
    approve_waiver,
    ask_waiver,
    make_run,
    make_signer,
    only_item,
    sign,
)
from tests.factories import make_address

pytestmark = pytest.mark.django_db

# Half past ten in Paris.
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def reachable(**values: Any) -> User:
    """A signer whom an e-mail address reaches."""
    user = make_signer(**values)
    contact = Contact.objects.create(name=user.username, user=user, language="en")
    make_address(contact=contact)
    return user


def told() -> dict[str, list[str]]:
    """What each person was told, by name: the headings of the lines."""
    found: dict[str, list[str]] = {}
    for row in Notification.objects.filter(purpose="checklist").order_by("pk"):
        assert row.address is not None
        labels = [label for label, _value in row.message["facts"]]
        found.setdefault(row.address.contact.name, []).extend(labels)
    return found


def kinds(run: ChecklistRun) -> list[str]:
    return list(run.reminders.order_by("pk").values_list("kind", flat=True))


def signed_run(user: User, **values: Any) -> ChecklistRun:
    run = make_run({"valid_for_s": 30 * 86400}, now=NOW, opened_by=user, **values)
    sign(only_item(run), user, now=NOW)
    return run


def test_signer_and_owner_hear_a_week_and_a_day_before_an_item_grows_old():
    user, owner = reachable(username="signer"), reachable(username="owner")
    run = signed_run(user)
    items.assign(
        run_id=run.pk,
        item_id=only_item(run).pk,
        owner=Contact.objects.get(user=owner),
        actor=engine(),
        now=NOW,
    )
    heard = []
    for days in (20, 23, 24, 28, 29, 29.5):
        remind_due(now=NOW + days * DAY)
        heard.append(len(told().get("signer", [])))

    assert heard == [0, 1, 1, 1, 2, 2]
    assert told()["owner"] == ["Item 0", "Item 0"]
    assert kinds(run) == ["ready", "item", "item"]


def test_message_says_which_run_and_until_when_and_leads_there():
    user = reachable()
    run = signed_run(user)

    remind_due(now=NOW + 29 * DAY)

    message = Notification.objects.get(purpose="checklist").message
    assert f"#{run.pk}: something ends soon" in message["title"]
    assert message["url"].endswith(f"/checklists/{run.pk}/")
    assert "Counts until" in message["facts"][0][1]


def test_whatever_lasts_shorter_than_the_mark_is_not_reminded_of_at_once():
    user = reachable()
    run = make_run({"valid_for_s": 6 * 3600}, now=NOW, opened_by=user)
    sign(only_item(run), user, now=NOW)

    remind_due(now=NOW + MINUTE)

    assert told() == {}


def test_nobody_is_reminded_at_night():
    user = reachable(username="signer")
    signed_run(user)

    # Three in the night in Paris, and half past nine.
    remind_due(now=NOW.replace(hour=2) + 30 * DAY)
    assert told() == {}
    remind_due(now=NOW + 30 * DAY - HOUR)

    assert told() == {"signer": ["Item 0"]}


def test_both_people_of_a_waiver_hear_before_it_ends():
    asker, second = reachable(username="asker"), reachable(username="second")
    run = make_run(now=NOW, opened_by=asker)
    waiver = ask_waiver(only_item(run), asker, now=NOW, days=10)
    approve_waiver(waiver, second, now=NOW)

    remind_due(now=NOW + 4 * DAY)
    remind_due(now=NOW + 9.5 * DAY)

    assert told() == {"asker": ["Item 0"] * 2, "second": ["Item 0"] * 2}
    assert [kind for kind in kinds(run) if kind == "waiver"] == ["waiver"] * 2


def test_opener_and_those_who_can_sign_hear_before_the_deadline():
    opener = reachable(username="opener")
    Group.objects.get_or_create(name="Release")
    signer = reachable(username="signer")
    signer.groups.add(Group.objects.get(name="Release"))
    reachable(username="other")
    make_run(
        {"required_role": "Release"},
        now=NOW,
        opened_by=opener,
        deadline=NOW + 10 * DAY,
    )

    remind_due(now=NOW + 4 * DAY)

    assert told() == {"opener": ["The run expires"], "signer": ["The run expires"]}
    row = Notification.objects.filter(purpose="checklist").earliest("pk")
    assert "1 item still blocks it" in row.message["facts"][0][1]


def test_opener_hears_when_the_gate_closes_again_and_each_time():
    user = reachable(username="opener")
    run = signed_run(user)
    remind_due(now=NOW)
    assert told() == {}

    for hour in (1, 2):
        item = only_item(run)
        items.reopen(
            run_id=run.pk,
            item_id=item.pk,
            reason="look again",
            actor=person(user),
            now=NOW + hour * HOUR,
        )
        remind_due(now=NOW + hour * HOUR)
        remind_due(now=NOW + hour * HOUR + MINUTE)
        sign(only_item(run), user, now=NOW + hour * HOUR + 2 * MINUTE)
        remind_due(now=NOW + hour * HOUR + 3 * MINUTE)

    assert told() == {"opener": ["The gate is closed again"] * 2}
    assert kinds(run) == ["ready", "closed", "ready", "closed", "ready"]


def test_gate_that_was_never_open_is_not_said_to_close():
    user = reachable()
    make_run(now=NOW, opened_by=user)

    remind_due(now=NOW)

    assert told() == {}
    assert not Reminder.objects.exists()


def test_new_commit_closes_the_gate_and_its_opener_hears_what_blocks():
    user = reachable(username="opener")
    run = signed_run(user)
    remind_due(now=NOW)

    runs.move_to_commit(
        run_id=run.pk, git_sha="bbbb2222", actor=person(user), now=NOW + HOUR
    )
    remind_due(now=NOW + HOUR)

    row = Notification.objects.get(purpose="checklist")
    assert row.message["tone"] == "warning"
    assert "signed for another commit" in row.message["facts"][0][1]


def test_run_that_cannot_be_read_silences_no_other(monkeypatch, caplog):
    signed_run(reachable(username="bad"))
    good = signed_run(reachable(username="good"))

    def judge_good(facts, now):
        if facts.id != good.pk:
            raise ValueError("unreadable")
        return standing.judge(facts, now)

    monkeypatch.setattr(queries, "judge", judge_good)
    remind_due(now=NOW + 29 * DAY)

    assert told() == {"good": ["Item 0"]}
    assert "nobody could be reminded" in caplog.text


def test_run_is_judged_only_once_it_is_locked(monkeypatch):
    """Else what another engine has noted meanwhile is taken for a change."""
    run = signed_run(reachable())
    load, locks = queries.load_run, []

    with CaptureQueriesContext(connection) as asked:

        def load_and_look(run_id, *, now):
            locks.append(any("FOR NO KEY UPDATE" in one["sql"] for one in asked))
            return load(run_id, now=now)

        monkeypatch.setattr(queries, "load_run", load_and_look)
        remind_due(now=NOW)

    assert locks == [True]
    assert kinds(run) == ["ready"]


def test_run_that_is_over_reminds_nobody():
    user = reachable()
    run = signed_run(user)
    runs.cancel(run_id=run.pk, reason="no", actor=person(user), now=NOW)

    assert remind_due(now=NOW + 29 * DAY) == 0


def test_whoever_has_no_address_holds_up_nobody(caplog):
    silent = make_signer(username="silent")
    run = signed_run(silent)

    remind_due(now=NOW + 29 * DAY)

    assert "nobody can be told" in caplog.text
    assert run.reminders.get(kind="item").told_count == 0


def test_french_readers_get_french_titles():
    user = reachable()
    Contact.objects.filter(user=user).update(language="fr")
    run = make_run(
        {"valid_for_s": 30 * 86400, "title_fr": "Santé"}, now=NOW, opened_by=user
    )
    sign(only_item(run), user, now=NOW)

    remind_due(now=NOW + 29 * DAY)

    assert told()[user.username] == ["Santé"]


def test_revoked_signature_closes_the_gate():
    user = reachable(username="opener")
    run = signed_run(user)
    remind_due(now=NOW)
    signing.revoke(
        run_id=run.pk,
        sign_off_id=only_item(run).sign_offs.get().pk,
        user=user,
        reason="wrong",
        now=NOW,
    )

    remind_due(now=NOW + MINUTE)

    assert kinds(run) == ["ready", "closed"]
