"""Helping a contact to prove an address, from the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from notifications.models import Address, Contact
from tests.factories import make_address, make_contact
from tests.notifications.making import page, text_of

pytestmark = pytest.mark.django_db(transaction=True)


def act(name: str, address: Address, contact: Contact | None = None) -> str:
    key = contact.pk if contact else address.contact_id
    return reverse(f"admin:notifications_contact_{name}", args=[key, address.pk])


def test_a_code_that_somebody_reads_out_is_typed_by_an_admin(
    admin: Any, mail_host: Any
):
    address = make_address(is_verified=False)
    admin.post(act("send-code", address))
    found = re.search(r"\d{6}", str(mail_host.mails[0]["Subject"]))
    assert found

    answer = admin.post(act("verify", address), {"code": found[0]}, follow=True)

    assert f"{address.value} is verified." in text_of(answer)
    assert Address.objects.verified().exists()


def test_an_address_marked_by_hand_is_in_the_history(admin: Any):
    address = make_address(is_verified=False)

    admin.post(act("by-hand", address))
    history = text_of(admin.get(page("contact_history", address.contact_id)))

    assert Address.objects.verified().exists()
    assert "by hand" in history


def test_looking_verifies_nothing_and_addresses_of_others_are_not_there(admin: Any):
    address = make_address(is_verified=False)

    admin.get(act("by-hand", address))
    elsewhere = admin.post(act("by-hand", address, make_contact()))

    assert elsewhere.status_code == 404
    assert not Address.objects.verified().exists()


def test_the_page_offers_what_is_still_needed(admin: Any):
    address = make_address(is_verified=False)
    make_address(contact=address.contact, value="proved@example.org")
    where = reverse(
        "admin:notifications_contact_verify_addresses", args=[address.contact_id]
    )

    text = text_of(admin.get(where))

    assert text.count("Mark as verified") == 1
    assert "proved@example.org" in text
