"""Secrets move to the newest key and to their rows, in steps, as often as one likes."""

from __future__ import annotations

import importlib
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from monitors.models import Monitor
from notifications.models import Channel
from t4g_portal.lib.secrets import encrypt
from t4g_portal.lib.secrets.field import encrypted_fields
from t4g_portal.lib.secrets.rotation import outdated, rotate
from t4g_portal.lib.secrets.sealing import UNBOUND
from tests.factories import make_channel, make_monitor
from tests.lib.test_secrets import make_key, store_secret, stored_secret

pytestmark = pytest.mark.django_db


@pytest.fixture
def ring(settings):
    """The old key alone writes; the test puts a new one in front."""
    old, new = make_key("old"), make_key("new")
    settings.PORTAL_DATA_KEYS = old

    def renew(*, keep_old: bool = True) -> None:
        settings.PORTAL_DATA_KEYS = f"{new},{old}" if keep_old else new

    return renew


def run(**options) -> str:
    out = StringIO()
    call_command("rotate_secrets", stdout=out, stderr=out, **options)
    return out.getvalue()


def test_every_secret_of_every_model_moves_to_the_new_key(ring):
    channel, monitor = make_channel(secret="a"), make_monitor(secret="b")
    ring()

    out = run()
    ring(keep_old=False)

    assert "notifications.channel.secret: 1 done\n" in out
    assert "All secrets are under key new.\n" in out
    assert Channel.objects.get(pk=channel.pk).secret == "a"
    assert Monitor.objects.get(pk=monitor.pk).secret == "b"


def test_second_run_rewrites_nothing(ring):
    channel = make_channel(secret="a")
    ring()
    run()
    before = stored_secret(channel)

    assert list(rotate()) == []
    assert stored_secret(channel) == before


def test_stopped_run_goes_on_where_it_was(ring):
    channels = [make_channel(secret=str(number)) for number in range(5)]
    ring()

    next(rotate(batch_size=2))
    assert sum(one.count for one in outdated()) == 3
    run(batch=2)

    assert outdated() == []
    reread = Channel.objects.order_by("pk")
    assert [row.secret for row in reread] == [str(n) for n in range(len(channels))]


def test_check_says_what_is_left_and_changes_nothing(ring):
    channel = make_channel(secret="a")
    ring()
    before = stored_secret(channel)
    out = StringIO()

    with pytest.raises(CommandError, match="1 secrets are left"):
        call_command("rotate_secrets", check=True, stdout=out)

    assert out.getvalue() == "notifications.channel.secret: 1 under key old (v2)\n"
    assert stored_secret(channel) == before


def test_check_is_content_when_all_is_done(ring):
    make_channel(secret="a")

    assert run(check=True) == "All secrets are under key old.\n"


def test_secret_of_a_lost_key_is_named_and_stops_no_other(ring):
    lost, good = make_channel(secret=""), make_channel(secret="good")
    store_secret(lost, "v2:gone:AAAA")
    ring()
    out = StringIO()

    with pytest.raises(CommandError, match="1 secrets can't be read"):
        call_command("rotate_secrets", stdout=out, stderr=out)

    assert f"row {lost.pk}: key 'gone' is not in PORTAL_DATA_KEYS" in out.getvalue()
    assert stored_secret(good).startswith("v2:new:")
    assert stored_secret(lost) == "v2:gone:AAAA"


def test_unbound_secret_is_bound_under_the_same_key(ring):
    channel = make_channel(secret="")
    context = "notifications_channel:secret"
    store_secret(channel, encrypt("a", context=context, row="", version=UNBOUND))

    run()

    assert stored_secret(channel).startswith("v2:old:")
    assert Channel.objects.get(pk=channel.pk).secret == "a"


def test_migrating_back_makes_secrets_readable_for_the_older_version(ring):
    channel = make_channel(secret="a")
    migration = importlib.import_module(
        "t4g_portal.lib.migrations.0002_row_bound_secrets"
    )

    migration.unbind(apps, connection.schema_editor())

    assert stored_secret(channel).startswith("v1:old:")
    assert Channel.objects.get(pk=channel.pk).secret == "a"


def test_every_encrypted_field_is_found():
    found = {f"{field.model._meta.label}.{field.name}" for field in encrypted_fields()}

    assert {"monitors.Monitor.secret", "notifications.Channel.secret"} <= found
