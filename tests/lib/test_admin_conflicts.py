"""Two people edit one row: the second is told, and what they typed stays."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from monitors.models import Assertion, Monitor
from notifications.models import Address
from tests.factories import make_contact, make_monitor, make_service, make_user
from tests.monitors.test_admin import change, errors_of, http_form

pytestmark = pytest.mark.django_db


def make_client(**values: Any) -> Client:
    client = Client()
    client.force_login(make_user(is_superuser=True, **values))
    return client


@pytest.fixture
def nina() -> Client:
    return make_client(first_name="Nina", last_name="Roy")


@pytest.fixture
def omar() -> Client:
    return make_client(first_name="Omar", last_name="Diaz")


def seen(client: Client, address: str) -> str:
    page = client.get(address).content.decode()
    found = re.search(r'name="_seen" value="([^"]+)"', page)
    assert found, "the form carries no fingerprint"
    return found.group(1)


def test_second_is_told_who_changed_what_and_keeps_what_was_typed(
    nina: Client, omar: Client
):
    monitor = make_monitor(target="https://t4g.example/")
    mine, theirs = (seen(client, change(monitor)) for client in (omar, nina))
    same = {"service": monitor.service_id, "target": "https://t4g.example/"}

    first = nina.post(change(monitor), http_form(**same, interval_s="90", _seen=theirs))
    second = omar.post(
        change(monitor), http_form(**same, name="Typed by Omar", _seen=mine)
    )

    assert first.status_code == 302
    said = errors_of(second)["__all__"][0]
    assert said.startswith("Nina Roy changed this just now, after you opened it.")
    text = second.content.decode()
    assert "Typed by Omar" in text
    assert "Changed meanwhile" in text
    assert re.search(r"Interval \(s\).*?60.*?90", text, re.S)
    monitor.refresh_from_db()
    assert (monitor.name, monitor.interval_s) == ("Home page", 90)


def test_saving_again_puts_it_in_place_knowingly(nina: Client, omar: Client):
    monitor = make_monitor(target="https://t4g.example/")
    mine = seen(omar, change(monitor))
    same = {"service": monitor.service_id, "target": "https://t4g.example/"}
    nina.post(change(monitor), http_form(**same, interval_s="90"))
    told = omar.post(change(monitor), http_form(**same, name="Omar's", _seen=mine))
    shown = re.search(r'name="_seen" value="([^"]+)"', told.content.decode())
    assert shown

    answer = omar.post(
        change(monitor), http_form(**same, name="Omar's", _seen=shown.group(1))
    )

    assert answer.status_code == 302
    monitor.refresh_from_db()
    assert monitor.name == "Omar's"


def test_change_of_a_part_alone_is_a_conflict_too(nina: Client, omar: Client):
    monitor = make_monitor(target="https://t4g.example/")
    mine = seen(omar, change(monitor))
    Assertion.objects.create(
        monitor=monitor, subject="status", operator="equals", expected="204"
    )

    answer = omar.post(
        change(monitor), http_form(service=monitor.service_id, _seen=mine)
    )

    assert "__all__" in errors_of(answer)
    assert "status equals 204" in answer.content.decode()
    assert Monitor.objects.get().assertions.count() == 1


def test_part_that_was_deleted_meanwhile_is_no_error_of_ours(omar: Client):
    contact = make_contact(name="Nina")
    address = Address.objects.create(contact=contact, kind="email", value="a@b.example")
    page = f"/admin/notifications/contact/{contact.pk}/change/"
    mine = seen(omar, page)
    key = address.pk
    address.delete()

    answer = omar.post(
        page,
        {
            "name": "Nina",
            "language": "",
            "time_zone": "",
            "_seen": mine,
            "rules-TOTAL_FORMS": "0",
            "rules-INITIAL_FORMS": "0",
            "addresses-TOTAL_FORMS": "1",
            "addresses-INITIAL_FORMS": "1",
            "addresses-0-id": str(key),
            "addresses-0-contact": str(contact.pk),
            "addresses-0-kind": "email",
            "addresses-0-value": "typed@b.example",
        },
    )

    assert "__all__" in errors_of(answer)
    text = answer.content.decode()
    assert "typed@b.example" in text
    shown = dict(
        re.findall(
            r'name="(_seen|(?:addresses|rules)-[^"]*)"[^>]* value="([^"]*)"', text
        )
    )
    assert (shown["addresses-TOTAL_FORMS"], shown["addresses-INITIAL_FORMS"]) == (
        "1",
        "0",
    )
    saved = omar.post(
        page,
        {
            "name": "Nina",
            "language": "",
            "time_zone": "",
            **{
                name: value for name, value in shown.items() if "__prefix__" not in name
            },
            "addresses-0-kind": "email",
            "addresses-0-is_enabled": "on",
        },
    )
    assert saved.status_code == 302
    assert Address.objects.get().value == "typed@b.example"


def test_line_deleted_by_both_is_gone_quietly(omar: Client):
    contact = make_contact(name="Nina")
    kept, lost = (
        Address.objects.create(contact=contact, kind="email", value=f"{name}@b.example")
        for name in ("kept", "lost")
    )
    form = {
        "name": "Nina",
        "language": "",
        "time_zone": "",
        "rules-TOTAL_FORMS": "0",
        "rules-INITIAL_FORMS": "0",
        "addresses-TOTAL_FORMS": "2",
        "addresses-INITIAL_FORMS": "2",
    }
    for number, row in enumerate((lost, kept)):
        form |= {
            f"addresses-{number}-id": str(row.pk),
            f"addresses-{number}-contact": str(contact.pk),
            f"addresses-{number}-kind": "email",
            f"addresses-{number}-value": row.value,
        }
    form["addresses-0-DELETE"] = "on"
    lost.delete()

    answer = omar.post(f"/admin/notifications/contact/{contact.pk}/change/", form)

    assert answer.status_code == 302
    assert Address.objects.get() == kept


def test_nobody_is_told_where_nothing_changed(omar: Client):
    service = make_service(name="API")
    page = f"/admin/incidents/service/{service.pk}/change/"
    form = {
        "name": "API",
        "slug": "api",
        "time_zone": "Europe/Paris",
        "position": "3",
        "policies-TOTAL_FORMS": "0",
        "policies-INITIAL_FORMS": "0",
    }

    assert omar.post(page, {**form, "_seen": seen(omar, page)}).status_code == 302


@pytest.mark.parametrize(
    "field", ["", ".", "x", "x.y", "0" * 32 + ".9999999999999999999999", "\0", "é.٣"]
)
def test_garbage_in_the_field_is_told_like_any_other_state(omar: Client, field: str):
    service = make_service(name="API")
    page = f"/admin/incidents/service/{service.pk}/change/"
    form = {"name": "API", "slug": "api", "time_zone": "Europe/Paris", "position": "3"}

    assert omar.post(page, {**form, "_seen": field}).status_code in {200, 302}
