"""Contacts over the API: lists are replaced, proofs stay with what they prove."""

from __future__ import annotations

from typing import Any

import pytest

from notifications.models import Address, Contact, Notification, PersonalRule
from tests.factories import make_address, make_contact
from tests.notifications.making import make_notification

pytestmark = pytest.mark.django_db
CONTACTS = "/api/v1/contacts/"


def send(admin: Any, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    return getattr(admin, method)(
        path, body, content_type="application/json", **headers
    )


@pytest.fixture
def ops(admin_client: Any) -> Any:
    return admin_client


def test_a_contact_is_added_with_addresses_and_rules(ops):
    answer = send(
        ops,
        "post",
        CONTACTS,
        {
            "name": "Ana",
            "language": "fr",
            "addresses": [{"kind": "phone", "value": "+33 6 12 34 56 78"}],
            "rules": [{"priority": "p0", "method": "voice", "delay_s": 60}],
        },
    )

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["addresses"] == [
        {
            "kind": "phone",
            "value": "+33612345678",
            "is_enabled": True,
            "is_verified": False,
        }
    ]
    assert body["rules"] == [{"priority": "p0", "method": "voice", "delay_s": 60}]


def test_an_address_that_stays_keeps_its_proof(ops):
    kept = make_address(value="a@example.org")
    make_address(contact=kept.contact, value="b@example.org")

    answer = send(
        ops,
        "patch",
        f"{CONTACTS}{kept.contact_id}/",
        {
            "addresses": [
                {"kind": "email", "value": "a@EXAMPLE.org", "is_enabled": False},
                {"kind": "email", "value": "c@example.org"},
            ]
        },
    )

    assert [one["is_verified"] for one in answer.json()["addresses"]] == [True, False]
    assert Address.objects.filter(pk=kept.pk, is_enabled=False).exists()
    assert not Address.objects.filter(value="b@example.org").exists()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"addresses": [{"kind": "phone", "value": "0612345678"}]}, "addresses"),
        ({"addresses": [{"kind": "pigeon", "value": "coo"}]}, "addresses"),
        ({"addresses": [{"kind": "email", "value": "a@b.org"}] * 2}, "addresses"),
        (
            {"addresses": [{"kind": "email", "value": "a@b.org", "is_verified": True}]},
            "addresses",
        ),
        ({"rules": [{"priority": "p9", "method": "sms"}]}, "rules"),
        ({"rules": [{"priority": "p0", "method": "sms", "delay_s": -1}]}, "rules"),
        ({"rules": [{"priority": "p0", "method": "sms"}] * 2}, "rules"),
        ({"time_zone": "Paris"}, "time_zone"),
        ({"is_catch_all": True}, "is_catch_all"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(ops, body, where):
    make_contact(name="Last", is_catch_all=True)
    contact = make_contact(name="Ana")

    answer = send(ops, "patch", f"{CONTACTS}{contact.pk}/", body)

    assert answer.status_code == 422 or answer.status_code == 400, answer.content
    assert where in answer.content.decode()
    assert not Address.objects.exists()
    assert not PersonalRule.objects.exists()


def test_whoever_has_not_seen_an_address_does_not_remove_it(ops):
    address = make_address()
    path = f"{CONTACTS}{address.contact_id}/"
    seen = ops.get(path)["ETag"]
    make_address(contact=address.contact)

    answer = send(ops, "patch", path, {"addresses": []}, headers={"If-Match": seen})

    assert answer.status_code == 412
    assert Address.objects.count() == 2


def test_a_deleted_contact_leaves_what_it_was_told(ops, now):
    row = make_notification(now=now, address=make_address(value="a@example.org"))

    answer = ops.delete(f"{CONTACTS}{Contact.objects.get().pk}/")

    assert answer.status_code == 204
    assert "a@example.org" in Notification.objects.get(pk=row.pk).receiver
