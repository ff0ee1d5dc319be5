"""A fingerprint changes with what people edit, and with nothing that the engine does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitors import watching
from monitors.models import Assertion, MaintenanceWindow, Monitor
from notifications.models import Address, Channel
from t4g_portal.lib.fingerprints import fingerprint
from tests.factories import make_channel, make_contact, make_monitor

pytestmark = pytest.mark.django_db


def test_it_stays_while_nobody_edits(django_assert_num_queries):
    monitor = make_monitor()
    before = fingerprint(monitor)

    watching.admit_new(now=datetime.now(UTC))
    Monitor.objects.get(pk=monitor.pk).save()

    with django_assert_num_queries(2):
        assert fingerprint(monitor) == before
    assert len(before) == 32


def test_it_is_of_the_stored_row_not_of_the_one_at_hand():
    monitor = make_monitor()
    before = fingerprint(monitor)

    monitor.interval_s = 999

    assert fingerprint(monitor) == before


def test_it_changes_with_a_column_a_part_a_link_and_a_secret(now):
    monitor, contact, channel = make_monitor(), make_contact(), make_channel(secret="a")
    window = MaintenanceWindow.objects.create(name="Sunday", starts_at=now)

    def all_of_them() -> list[str]:
        return [fingerprint(row) for row in (monitor, contact, channel, window)]

    before = all_of_them()
    Assertion.objects.create(monitor=monitor, subject="status", operator="equals")
    Address.objects.create(contact=contact, kind="email", value="a@example.org")
    row = Channel.objects.get(pk=channel.pk)
    row.secret = "b"
    row.save()
    window.monitors.add(monitor)

    assert not set(before) & set(all_of_them())


def test_two_rows_that_say_the_same_differ():
    assert fingerprint(make_contact()) != fingerprint(make_contact())
