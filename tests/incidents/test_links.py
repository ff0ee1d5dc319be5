"""The link with which somebody acknowledges from a message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client

from incidents import services
from incidents.collaboration import handovers
from incidents.inbound import links
from incidents.models import Incident, IncidentEvent
from incidents.people import Actor
from incidents.queries import timeline_of
from notifications.models import Address, Notification
from notifications.preview import preview
from t4g_portal.roles import AUDITOR, ON_CALL
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import kinds, make_incident, outbox, reread
from tests.incidents.test_racing import race
from tests.notifications.making import make_message, make_notification

WEEK = timedelta(days=7)


@pytest.fixture
def page() -> Client:
    """A browser that keeps nothing and knows nobody, and that checks form tokens."""
    return Client(enforce_csrf_checks=True)


def make_paged(*, now: datetime, **values: Any) -> tuple[Incident, Address]:
    """An incident of which somebody was told at an address of theirs."""
    make_priority_rules(make_channel())
    if "contact" not in values:
        values["contact"] = make_contact(name="Ana", language="en")
    incident, address = make_incident(now=now), make_address(**values)
    make_notification(now=now, address=address, subject_key=f"incident:{incident.pk}")
    return incident, address


def path_of(incident: Incident, address: Address) -> str:
    return urlsplit(links.ack_url(incident=incident, address=address)).path


def text_of(response: Any, status: int = 200) -> str:
    assert response.status_code == status
    return str(response.content.decode())


@pytest.mark.django_db
def test_looking_changes_nothing(page: Client, now: datetime):
    incident, address = make_paged(now=now)

    with time_machine.travel(now, tick=False):
        for ask in (page.get, page.head):
            assert ask(path_of(incident, address)).status_code == 200

    assert reread(incident).status == Incident.Status.TRIGGERED
    assert "acknowledged" not in kinds(incident)
    shown = text_of(page.get(path_of(incident, address)))
    assert "Acknowledge as Ana" in shown
    assert "API health is down" in shown


@pytest.mark.django_db
def test_button_acknowledges_as_the_person_by_link(page: Client, now: datetime):
    incident, address = make_paged(now=now)

    path = path_of(incident, address)

    answer = page.post(path)

    assert (answer.status_code, answer["Location"]) == (303, path)
    taken = reread(incident)
    assert taken.status == Incident.Status.ACKNOWLEDGED
    assert (taken.holder, taken.acknowledged_by_contact) == ("Ana", address.contact)
    assert taken.next_escalation_at is None
    line = IncidentEvent.objects.get(incident=incident, kind="acknowledged")
    assert (line.who, line.via) == ("Ana", "link")
    shown = timeline_of(incident=incident).lines[0]
    assert (shown.who, shown.via) == ("Ana", "a link")
    assert "You have it" in text_of(page.get(answer["Location"]))


@pytest.mark.django_db
def test_second_press_changes_nothing(page: Client, now: datetime):
    incident, address = make_paged(now=now)

    for _press in range(2):
        assert page.post(path_of(incident, address)).status_code == 303

    assert kinds(incident).count("acknowledged") == 1


@pytest.mark.django_db
def test_account_and_contact_are_one_person(page: Client, now: datetime):
    user = make_user(role=ON_CALL, first_name="Ana", last_name="Silva")
    contact = make_contact(name="Ana's phones", user=user, language="en")
    incident, address = make_paged(now=now, contact=contact)
    services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)

    assert "You have it" in text_of(page.get(path_of(incident, address)))
    page.post(path_of(incident, address))

    assert kinds(incident).count("acknowledged") == 1


@pytest.mark.django_db
def test_page_says_who_has_it(page: Client, now: datetime):
    incident, address = make_paged(now=now)
    bob = make_user(first_name="Bob", last_name="Ito")
    services.acknowledge(incident_id=incident.pk, user=bob, via="web", now=now)

    page.post(path_of(incident, address))

    shown = text_of(page.get(path_of(incident, address)))
    assert "Bob Ito has it" in shown
    assert "<button" not in shown
    assert reread(incident).holder == "Bob Ito"


@pytest.mark.django_db
def test_link_is_dead_after_the_end(page: Client, now: datetime):
    incident, address = make_paged(now=now)
    services.resolve_incident(
        incident_id=incident.pk,
        user=make_user(first_name="Bob", last_name="Ito"),
        via="web",
        now=now,
        even_if_firing=True,
    )
    before = kinds(incident)

    page.post(path_of(incident, address))

    shown = text_of(page.get(path_of(incident, address)))
    assert "It is over" in shown
    assert "Resolved by Bob Ito." in shown
    assert "<button" not in shown
    assert kinds(incident) == before


@pytest.mark.django_db
def test_link_expires_after_a_week(page: Client, now: datetime):
    incident, address = make_paged(now=now)
    with time_machine.travel(now, tick=False):
        path = path_of(incident, address)

    with time_machine.travel(now + WEEK - timedelta(seconds=2), tick=False):
        assert page.get(path).status_code == 200
    with time_machine.travel(now + WEEK + timedelta(seconds=2), tick=False):
        for ask in (page.get, page.post):
            assert "expired" in text_of(ask(path, HTTP_ACCEPT_LANGUAGE="en"), 410)

    assert reread(incident).status == Incident.Status.TRIGGERED


@pytest.mark.django_db
def test_forged_and_broken_links_lead_nowhere(page: Client, now: datetime):
    incident, address = make_paged(now=now)
    other = make_address(contact=make_contact(), value="bob@example.org")
    path = path_of(incident, address)
    named, stamp, signature = path.removeprefix("/a/").split(".")
    forged = [
        f"/a/{incident.pk + 1}-{address.pk}.{stamp}.{signature}",
        f"/a/{incident.pk}-{other.pk}.{stamp}.{signature}",
        f"/a/{named}.{stamp}x.{signature}",
        f"/a/{named}.{stamp}.{signature[:-1]}",
        f"/a/{named}.{stamp}.{signature[::-1]}",
        f"/a/{named}",
        f"/a/{'9' * 18}-{'9' * 18}.{stamp}.{signature}",
        f"/a/{'9' * 400}-1.{stamp}.{signature}",
        "/a/%00",
        "/a/é-1.x.y",
    ]

    for bad in forged:
        for ask in (page.get, page.post):
            assert ask(bad).status_code == 404, bad

    assert reread(incident).status == Incident.Status.TRIGGERED


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        lambda address: Address.objects.filter(pk=address.pk).update(value="x@y.org"),
        lambda address: Address.objects.filter(pk=address.pk).update(is_enabled=False),
        lambda address: type(address.contact).objects.update(is_enabled=False),
        lambda address: address.verification.delete(),
    ],
)
def test_link_dies_with_its_address(
    page: Client, now: datetime, change: Callable[[Address], object]
):
    incident, address = make_paged(now=now)
    path = path_of(incident, address)

    change(address)

    assert page.post(path).status_code == 404
    assert reread(incident).status == Incident.Status.TRIGGERED


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("user", "was_paged", "may"),
    [
        ({"role": ON_CALL}, False, True),
        ({"role": AUDITOR}, False, False),
        ({"role": AUDITOR}, True, True),
        (None, True, True),
        (None, False, False),
        ({"role": ON_CALL, "is_active": False}, True, False),
    ],
)
def test_who_was_paged_or_has_the_role_may_act(
    page: Client, now: datetime, user: dict[str, Any] | None, was_paged: bool, may: bool
):
    account = make_user(**user) if user else None
    contact = make_contact(language="en", user=account)
    incident, address = make_paged(now=now, contact=contact)
    if not was_paged:
        Notification.objects.filter(address=address).delete()

    page.post(path_of(incident, address))

    assert (reread(incident).status == Incident.Status.ACKNOWLEDGED) == may
    if not may:
        assert "<button" not in text_of(page.get(path_of(incident, address)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "browser", "expected"),
    [("fr", "en", "fr"), ("en", "fr", "en"), ("", "en", "fr")],
)
def test_page_speaks_the_contacts_language(
    page: Client,
    now: datetime,
    settings: Any,
    language: str,
    browser: str,
    expected: str,
):
    settings.PORTAL_LANGUAGE = "fr"
    incident, address = make_paged(now=now, contact=make_contact(language=language))

    answer = page.get(path_of(incident, address), HTTP_ACCEPT_LANGUAGE=browser)

    assert f'<html lang="{expected}">' in text_of(answer)
    assert answer["Content-Language"] == expected


@pytest.mark.django_db
def test_link_of_a_merged_incident_leads_to_the_one_that_goes_on(
    page: Client, now: datetime
):
    incident, address = make_paged(now=now)
    target = make_incident(now=now)
    path = path_of(incident, address)
    Incident.objects.filter(pk=incident.pk).update(
        merged_into=target, status="resolved", resolved_at=now
    )

    page.post(path)

    assert reread(target).holder == address.contact.name


@pytest.mark.django_db
def test_answer_is_kept_nowhere_and_asks_few_questions(
    page: Client, now: datetime, django_assert_max_num_queries: Any
):
    incident, address = make_paged(now=now)

    with django_assert_max_num_queries(4):
        answer = page.get(path_of(incident, address))

    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not answer.cookies


@pytest.mark.django_db
def test_log_names_no_link(page: Client, now: datetime, caplog: Any):
    from t4g_portal.lib.logs.scrubbing import scrub

    incident, address = make_paged(now=now)
    path = path_of(incident, address)

    with caplog.at_level(logging.DEBUG):
        page.get(path)

    assert path not in scrub(caplog.text)
    assert scrub(f"GET {path} 200") == "GET /a/[scrubbed] 200"


@pytest.mark.django_db
def test_link_fits_an_sms_and_ends_in_a_letter_or_digit(now: datetime):
    incident, address = make_paged(now=now)

    path = path_of(incident, address)

    assert len(path) < 50
    assert path[-1].isalnum()


@pytest.mark.django_db
def test_reader_of_the_outbox_sees_no_link_to_act_with(now: datetime):
    incident, address = make_paged(now=now)
    url = links.ack_url(incident=incident, address=address)
    row = make_notification(
        now=now, address=address, message=make_message(ack_url=url, short=f"P0 {url}")
    )

    shown = preview(notification=row)

    assert url not in shown.html + shown.text + shown.message.short
    assert "Acknowledge" in shown.html


@pytest.mark.django_db(transaction=True)
def test_two_links_at_once_have_one_winner(now: datetime):
    incident, address = make_paged(now=now)
    other = make_address(contact=make_contact(name="Bob"), value="bob@example.org")
    make_notification(now=now, address=other, subject_key=f"incident:{incident.pk}")
    paths = [path_of(incident, address), path_of(incident, other)] * 3

    answers = race(*[lambda path=path: Client().post(path) for path in paths])

    assert {answer.status_code for answer in answers} == {303}  # type: ignore[attr-defined]
    assert kinds(incident).count("acknowledged") == 1
    assert reread(incident).holder in {"Ana", "Bob"}
    assert outbox("page", "queued") == []


@pytest.mark.django_db
def test_page_offers_to_take_over_what_somebody_asks_one_to_take(
    page: Client, now: datetime
):
    incident, address = make_paged(now=now)
    bob = make_user(first_name="Bob")
    services.acknowledge(incident_id=incident.pk, user=bob, via="web", now=now)
    handovers.ask(
        incident_id=incident.pk,
        user=bob,
        to=Actor(contact=address.contact),
        via="web",
        now=now,
    )
    path = path_of(incident, address)

    assert "Take over as Ana" in text_of(page.get(path))
    page.post(path)

    assert reread(incident).holder == "Ana"
