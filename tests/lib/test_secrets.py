from __future__ import annotations

import base64
import os

import pytest
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.forms import model_to_dict, modelform_factory

from notifications.models import Channel
from t4g_portal.lib.secrets import UnableToDecrypt, decrypt, encrypt, sealing
from tests.factories import make_channel


def make_key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"


def test_a_secret_comes_back_as_it_was():
    stored = encrypt("hunter2 é", context="table:column", row="1")

    assert "hunter2" not in stored
    assert decrypt(stored, context="table:column", row="1") == "hunter2 é"


def test_the_same_secret_never_looks_the_same_twice():
    assert encrypt("x", context="c", row="1") != encrypt("x", context="c", row="1")


def test_a_secret_does_not_open_in_another_column():
    stored = encrypt("x", context="table:column", row="1")

    with pytest.raises(UnableToDecrypt, match="damaged"):
        decrypt(stored, context="table:other", row="1")


@pytest.mark.parametrize("stored", ["plain", "v3:a:b", "v2:main", "v2:gone:AAAA"])
def test_what_is_not_a_secret_of_ours_raises(stored):
    with pytest.raises(UnableToDecrypt):
        decrypt(stored, context="c", row="1")


def test_an_old_key_still_reads_and_the_first_one_writes(settings):
    old, new = make_key("old"), make_key("new")
    settings.PORTAL_DATA_KEYS = old
    stored = encrypt("x", context="c", row="1")

    settings.PORTAL_DATA_KEYS = f"{new},{old}"

    assert decrypt(stored, context="c", row="1") == "x"
    assert encrypt("x", context="c", row="1").startswith("v2:new:")


@pytest.mark.parametrize(
    "keys", ["a:short", "a:" + "é" * 43, "a:" + "A" * 22, f"a:{'A' * 43},a:{'B' * 43}"]
)
def test_a_bad_key_is_named(settings, keys):
    settings.PORTAL_DATA_KEYS = keys

    with pytest.raises(ImproperlyConfigured, match="'a'"):
        encrypt("x", context="c", row="1")


@pytest.mark.django_db
def test_the_database_holds_only_ciphertext():
    channel = make_channel(kind="slack", secret="https://hooks.example/T0/B0/canary")

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notifications_channel")
        (stored,) = cursor.fetchone()

    assert "canary" not in stored
    assert Channel.objects.get(pk=channel.pk).secret.endswith("canary")


@pytest.mark.django_db
def test_an_empty_secret_stays_empty():
    channel = make_channel(secret="")

    assert Channel.objects.get(pk=channel.pk).secret == ""


def stored_secret(channel: Channel) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secret FROM notifications_channel WHERE id = %s", [channel.pk]
        )
        return str(cursor.fetchone()[0])


def store_secret(channel: Channel, stored: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notifications_channel SET secret = %s WHERE id = %s",
            [stored, channel.pk],
        )


def test_a_secret_does_not_open_in_another_row():
    stored = encrypt("x", context="table:column", row="1")

    with pytest.raises(UnableToDecrypt, match="damaged"):
        decrypt(stored, context="table:column", row="2")


@pytest.mark.django_db
def test_ciphertext_copied_to_another_row_does_not_open():
    mine, other = make_channel(secret="mine"), make_channel(secret="theirs")

    store_secret(mine, stored_secret(other))

    with pytest.raises(UnableToDecrypt):
        _ = Channel.objects.get(pk=mine.pk).secret


@pytest.mark.django_db
def test_a_secret_written_before_binding_is_still_read():
    channel = make_channel(secret="")
    context = "notifications_channel:secret"
    store_secret(
        channel, encrypt("old", context=context, row="", version=sealing.UNBOUND)
    )

    assert Channel.objects.get(pk=channel.pk).secret == "old"


@pytest.mark.django_db
def test_a_row_is_read_with_its_secret_closed():
    make_channel(secret="canary")

    channel = Channel.objects.get()

    assert "canary" not in repr(vars(channel))
    assert channel.secret == "canary"
    assert "canary" not in repr(vars(channel))


@pytest.mark.django_db
def test_a_lost_key_stops_nobody_who_does_not_need_the_secret(settings):
    make_channel(secret="x", kind="slack", name="Ops")
    settings.PORTAL_DATA_KEYS = make_key("other")

    channel = Channel.objects.get()
    channel.name = "Renamed"
    channel.save()

    assert channel.is_configured
    with pytest.raises(UnableToDecrypt):
        _ = channel.secret


@pytest.mark.django_db
def test_saving_something_else_leaves_the_ciphertext_as_it_is():
    channel = make_channel(secret="x")
    before = stored_secret(channel)

    again = Channel.objects.get()
    again.name = "Renamed"
    again.save()

    assert stored_secret(channel) == before


@pytest.mark.django_db
def test_a_deferred_secret_is_read_when_asked_for():
    make_channel(secret="x")
    channel = Channel.objects.defer("secret").get()

    assert "secret" in channel.get_deferred_fields()
    assert channel.secret == "x"


@pytest.mark.django_db
def test_what_knows_no_row_can_not_write_a_secret():
    channel = make_channel(secret="x")
    unsaved = Channel(name="bulk", kind="slack", secret="y")

    with pytest.raises(TypeError, match="Save the row"):
        Channel.objects.update(secret="y")
    with pytest.raises(TypeError, match="on its own"):
        Channel.objects.bulk_create([unsaved])
    channel.secret = "z"
    with pytest.raises(TypeError, match="Save the row"):
        Channel.objects.bulk_update([channel], ["secret"])


@pytest.mark.django_db
def test_secrets_can_be_cleared_in_bulk():
    make_channel(secret="x")

    Channel.objects.update(secret="")

    assert Channel.objects.get().secret == ""


@pytest.mark.django_db
def test_a_copied_row_does_not_take_the_secret_along():
    channel = Channel.objects.get(pk=make_channel(secret="x").pk)
    channel.pk, channel.name = None, "copy"
    channel._state.adding = True

    with pytest.raises(TypeError, match="Set it anew"):
        channel.save()


@pytest.mark.django_db
def test_neither_forms_nor_dumps_have_the_secret():
    channel = make_channel(secret="canary")

    form = modelform_factory(Channel, fields="__all__")(instance=channel)

    assert "secret" not in form.fields
    assert "canary" not in serializers.serialize("json", [channel])
    assert "canary" not in str(model_to_dict(channel))
