"""Many rows in one statement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.db.models import signals

from incidents.models import Incident, IncidentEvent
from notifications.models import Notification
from t4g_portal.lib import bulk
from tests.factories import make_channel, make_priority_rules
from tests.incidents.making import make_incident

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)


def _message(channel, **values):
    defaults = {
        "channel": channel,
        "idempotency_key": uuid4().hex,
        "subject_key": "incident:1",
        "purpose": "page",
        "message": {
            "title": "L’API « ne répond plus » \\ 'x' \"y\" %s\n\t🔥",
            "n": [1, None],
        },
        "queued_at": AT,
        "next_attempt_at": AT,
        "give_up_at": AT + timedelta(microseconds=1),
        "lease_token": uuid4(),
    }
    return Notification(**defaults | values)


def _columns(row):
    return {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}


def test_inserted_rows_read_back_as_they_were_in_their_order():
    channel = make_channel()
    rows = [_message(channel, outcome=f"{n} œ") for n in range(3)]

    bulk.insert_all(rows=rows)

    stored = list(Notification.objects.order_by("pk"))
    assert [_columns(row) | {"id": None} for row in stored] == [
        _columns(row) for row in rows
    ]


def test_row_that_collides_is_left_out_and_the_others_are_not():
    channel = make_channel()
    first = _message(channel)
    bulk.insert_all(rows=[first])

    bulk.insert_all(
        rows=[
            _message(channel, idempotency_key=first.idempotency_key, outcome="again"),
            _message(channel, outcome="new"),
        ]
    )

    outcomes = Notification.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["", "new"]


def test_nothing_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        bulk.insert_all(rows=[])
        bulk.update_all(rows=[])


def test_value_that_no_column_takes_is_an_error():
    with pytest.raises(TypeError, match="set can't be written"):
        bulk.insert_all(rows=[_message(make_channel(), message={"a": {1}})])


def test_naive_moment_is_an_error():
    with pytest.raises(TypeError, match="datetime can't be written"):
        bulk.insert_all(
            rows=[_message(make_channel(), queued_at=AT.replace(tzinfo=None))]
        )


@pytest.mark.parametrize("write", [bulk.insert_all, bulk.update_all])
def test_model_with_a_secret_or_a_history_is_an_error(write):
    """A secret would be written as plain text, and a change without its history."""
    with pytest.raises(TypeError, match="waits for each `save`"):
        write(rows=[make_channel()])


def test_field_that_shows_something_else_than_it_stores_is_an_error(monkeypatch):
    monkeypatch.setattr(signals.pre_save, "has_listeners", lambda sender: False)
    monkeypatch.setattr(signals.post_save, "has_listeners", lambda sender: False)

    with pytest.raises(TypeError, match="only `save` writes it"):
        bulk.update_all(rows=[make_channel()])


def test_rows_of_two_models_are_an_error(now):
    channel = make_channel()
    make_priority_rules(channel)

    with pytest.raises(TypeError, match="several models"):
        bulk.update_all(rows=[make_incident(now=now), _message(channel)])


def test_updated_row_that_is_gone_is_an_error():
    row = _message(make_channel())
    row.pk = 0

    with pytest.raises(DatabaseError, match="0 of 1 rows"):
        bulk.update_all(rows=[row])


def test_update_writes_every_column_of_the_rows_and_of_no_other(now):
    make_priority_rules(make_channel())
    changed, other = make_incident(now=now), make_incident(now=now)
    before = _columns(Incident.objects.get(pk=other.pk))
    changed.title = "Ça « l'est » 100 %"
    changed.status = Incident.Status.RESOLVED
    changed.resolved_at = AT
    changed.next_escalation_at = None
    changed.short_code = None
    changed.escalation_runs = [3, 0]
    changed.policy["name"] = "Été"
    changed.is_untold = True

    bulk.update_all(rows=[changed])

    assert _columns(Incident.objects.get(pk=changed.pk)) == _columns(changed)
    assert _columns(Incident.objects.get(pk=other.pk)) == before


def test_lines_of_the_timeline_keep_their_order(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    rows = [
        IncidentEvent(incident=incident, at=AT, kind="note", text=str(n))
        for n in range(20)
    ]

    bulk.insert_all(rows=rows)

    texts = incident.events.filter(kind="note").order_by("pk")
    assert [event.text for event in texts] == [str(n) for n in range(20)]
