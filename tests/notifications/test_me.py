"""My contact details: own addresses, their proof, how one wishes to be told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications.models import Address, Contact, Notification, PersonalRule
from notifications.routing import routes_for
from tests.factories import make_address, make_contact, make_user
from tests.notifications.making import text_of

pytestmark = pytest.mark.django_db(transaction=True)
ME = "/me/"


@pytest.fixture
def ana() -> User:
    return make_user(username="ana", first_name="Ana", last_name="Ops", is_staff=False)


@pytest.fixture
def browser(client: Any, ana: User) -> Any:
    client.force_login(ana)
    return client


def act(name: str, address: Address) -> str:
    return reverse(f"notifications:{name}", args=[address.pk])


def own(ana: User, **values: Any) -> Address:
    contact, _made = Contact.objects.get_or_create(user=ana, defaults={"name": "Ana"})
    return make_address(contact=contact, **values)


def choices(**changed: Any) -> dict[str, Any]:
    """The table as the page shows it to somebody without rules."""
    usual = {"p0_sms": 0, "p0_slack": 0, "p0_email": 0, "p0_voice": 120}
    return usual | {"p1_slack": 0, "p1_email": 0, "p2_email": 0} | changed


def test_looking_at_the_page_makes_no_contact(browser):
    page = text_of(browser.get(ME))

    assert "Nothing reaches you yet" in page
    assert not Contact.objects.exists()


def test_an_address_is_added_proved_and_told_by(browser, ana, mail_host):
    added = browser.post(
        reverse("notifications:add-address"),
        {"kind": "email", "value": " Ana@Example.ORG "},
    )
    address = Address.objects.get()
    browser.post(act("send-code", address))
    found = re.search(r"\d{6}", str(mail_host.mails[0]["Subject"]))
    assert found
    with_code = text_of(browser.get(ME))
    verified = browser.post(act("verify", address), {"code": found[0]}, follow=True)

    assert added["Location"] == f"/me/#address-{address.pk}"
    assert (address.value, address.contact.name) == ("Ana@example.org", "Ana Ops")
    assert address.contact.user == ana
    assert 'autocomplete="one-time-code"' in with_code
    assert "Ana@example.org is verified." in text_of(verified)
    assert "E-mail to Ana@example.org at once" in text_of(verified)


def test_a_wrong_code_says_how_many_tries_are_left(browser, ana, mail_host):
    address = own(ana, is_verified=False)
    browser.post(act("send-code", address))

    page = browser.post(act("verify", address), {"code": "12"}, follow=True)

    assert "4 tries are left" in text_of(page)
    assert not Address.objects.verified().exists()


def test_a_code_that_was_refused_says_why(browser, ana, mail_host):
    address = own(ana, is_verified=False)
    mail_host.replies[address.value] = "550 5.1.1 no such user"

    page = browser.post(act("send-code", address), follow=True)

    assert "no such user" in text_of(page)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("phone", "0612345678", "country code"),
        ("phone", "+33899701234", "no more than a usual call"),
        ("email", "ana", "ana@example.org"),
        ("slack", "@ana", "member ID"),
        ("pigeon", "coo", "pigeon"),
    ],
)
def test_what_is_no_address_is_refused_beside_its_field(browser, kind, value, said):
    answer = browser.post(
        reverse("notifications:add-address"), {"kind": kind, "value": value}
    )

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Address.objects.exists()


def test_a_phone_number_is_kept_in_e164(browser):
    browser.post(
        reverse("notifications:add-address"),
        {"kind": "phone", "value": "+33 (0)6 12-34.56 78"},
    )

    assert Address.objects.get().value == "+33612345678"


def test_the_same_address_is_not_added_twice(browser, ana):
    own(ana, value="ana@example.org")

    answer = browser.post(
        reverse("notifications:add-address"),
        {"kind": "email", "value": "ana@EXAMPLE.org"},
    )

    assert "It stands here already." in answer.content.decode()
    assert Address.objects.count() == 1


def test_a_test_message_goes_out_and_its_fate_is_said(browser, ana, mail_host):
    address = own(ana)

    page = browser.post(act("test", address), {"method": "email"}, follow=True)

    assert "The test message was taken" in text_of(page)
    assert mail_host.mails[0]["To"] == address.value
    assert Notification.objects.get().purpose == "test"


def test_a_test_by_what_does_not_fit_is_refused(browser, ana):
    page = browser.post(act("test", own(ana)), {"method": "voice"}, follow=True)

    assert "Nothing here can send" in text_of(page)


def test_an_address_is_switched_and_removed(browser, ana):
    address = own(ana)

    browser.post(act("switch", address), {"to": "off"})
    is_off = not Address.objects.get().is_enabled
    browser.post(act("switch", address), {"to": "on"})
    is_on = Address.objects.get().is_enabled
    browser.post(act("remove", address))

    assert (is_off, is_on, Address.objects.exists()) == (True, True, False)


@pytest.mark.parametrize("name", ["send-code", "verify", "test", "switch", "remove"])
def test_other_peoples_addresses_are_not_there(browser, ana, name):
    address = make_address()

    answer = browser.post(act(name, address), {"code": "1", "to": "off"})

    assert answer.status_code == 404
    assert Address.objects.filter(is_enabled=True).count() == 1


def test_only_what_differs_from_the_usual_way_becomes_a_rule(browser, ana):
    address = own(ana)

    browser.post(reverse("notifications:rules"), choices(p1_email=300, p1_slack=""))

    rules = PersonalRule.objects.values_list("priority", "method", "delay_s")
    assert list(rules) == [("p1", "email", 300)]
    routes = routes_for(contacts=[address.contact_id], priority="p1")
    assert [route.delay_s for route in routes[address.contact_id]] == [300]
    page = text_of(browser.get(ME))
    assert f"E-mail to {address.value} after 5 min" in page.replace("\xa0", " ")


def test_nobody_switches_off_what_may_have_to_wake_them(browser, ana):
    own(ana)
    none = {f"p0_{method}": "" for method in ("sms", "slack", "email", "voice")}

    answer = browser.post(reverse("notifications:rules"), choices(**none, p1_email=600))
    page = answer.content.decode()

    assert answer.status_code == 422
    assert "Choose at least one way for P0." in page
    # What was chosen is still there.
    assert '<option value="600" selected>' in page
    assert not PersonalRule.objects.exists()


@pytest.mark.parametrize("value", ["-1", "x", "86401", "9" * 40])
def test_a_delay_that_makes_no_sense_is_refused(browser, value):
    answer = browser.post(reverse("notifications:rules"), choices(p0_sms=value))

    assert answer.status_code == 422
    assert not PersonalRule.objects.exists()


def test_going_back_to_the_usual_way_removes_the_rules(browser, ana):
    own(ana)
    browser.post(reverse("notifications:rules"), choices(p2_email=600))

    browser.post(reverse("notifications:rules"), choices(how="usual"))

    assert not PersonalRule.objects.exists()


def test_language_and_zone_are_kept_and_checked(browser):
    saved = browser.post(
        reverse("notifications:details"),
        {"language": "fr", "time_zone": "Europe/Paris"},
    )
    refused = browser.post(
        reverse("notifications:details"), {"language": "fr", "time_zone": "Paris"}
    )

    contact = Contact.objects.get()
    assert saved.status_code == 302
    assert (contact.language, contact.time_zone) == ("fr", "Europe/Paris")
    assert refused.status_code == 422
    assert "such as Europe/Paris" in refused.content.decode()


def test_a_taken_name_belongs_to_whoever_has_it(browser, ana):
    make_contact(name="Ana Ops")

    browser.post(reverse("notifications:details"), {"language": "fr"})

    assert Contact.objects.get(user=ana).name == "Ana Ops 2"


def test_a_disabled_contact_is_told_that_nothing_reaches_it(browser, ana):
    address = own(ana)
    Contact.objects.filter(pk=address.contact_id).update(is_enabled=False)

    assert "Your contact is disabled" in text_of(browser.get(ME))


def test_more_addresses_need_no_more_queries(browser, ana):
    own(ana)
    browser.get(ME)
    with CaptureQueriesContext(connection) as few:
        browser.get(ME)
    for _each in range(5):
        own(ana)
    with CaptureQueriesContext(connection) as many:
        browser.get(ME)

    assert len(few) == len(many) < 25
