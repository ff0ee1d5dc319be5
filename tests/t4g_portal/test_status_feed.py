"""The Atom feed, held against RFC 4287."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest
import time_machine
from django.core.cache import cache

from incidents import services
from incidents.models import Incident
from tests.factories import make_service, make_user
from tests.history import HOUR, MINUTE, make_history, make_incident
from tests.incidents.making import make_incident as raise_incident

pytestmark = pytest.mark.django_db

ATOM = "{http://www.w3.org/2005/Atom}"
# RFC 3339, as section 3.3 asks for.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")


@pytest.fixture(autouse=True)
def _at_now(now):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


def read(client, query: str = "?lang=en") -> ElementTree.Element:
    answer = client.get(f"/status.atom{query}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(answer.content)


def text(element: ElementTree.Element, name: str) -> str:
    [found] = element.findall(ATOM + name)
    return found.text or ""


def entries(feed: ElementTree.Element) -> list[ElementTree.Element]:
    return feed.findall(f"{ATOM}entry")


def test_feed_has_all_that_the_standard_asks_for(client, now, settings):
    made = make_history(now=now)

    feed = read(client)

    # 4.1.1: exactly one id, title, updated; an author; a link to itself.
    assert feed.tag == f"{ATOM}feed"
    assert feed.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "en"
    assert text(feed, "id").startswith("tag:localhost,2026:")
    assert text(feed, "title") == "Token4Good status"
    assert MOMENT.fullmatch(text(feed, "updated"))
    assert text(feed.find(f"{ATOM}author") or feed, "name") == "Token4Good"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {
        "self": f"{settings.PORTAL_URL}/status.atom?lang=en",
        "alternate": f"{settings.PORTAL_URL}/status/",
    }
    # 4.1.2: exactly one id, title, updated each; a link or content.
    assert len(entries(feed)) == len(made.incidents) + 4
    ids = [text(entry, "id") for entry in entries(feed)]
    assert len(set(ids)) == len(ids)
    for entry in entries(feed):
        assert text(entry, "title")
        assert MOMENT.fullmatch(text(entry, "updated"))
        assert MOMENT.fullmatch(text(entry, "published"))
        [link] = entry.findall(f"{ATOM}link")
        assert link.get("rel") == "alternate"
        [summary] = entry.findall(f"{ATOM}summary")
        assert summary.get("type") == "html"
    moments = [
        datetime.fromisoformat(text(entry, "updated")) for entry in entries(feed)
    ]
    assert datetime.fromisoformat(text(feed, "updated")) == max(moments)


def test_feed_holds_no_internals(client, now):
    make_history(now=now)

    body = client.get("/status.atom").content.decode()

    for secret in ("503", "Anna", "Keller", "token4good.example", "Backend health"):
        assert secret not in body


def test_entry_keeps_its_id_and_moves_with_what_the_public_sees(client, now):
    incident = raise_incident(service=make_service(name="Shop"), now=now - HOUR)
    acting = {"user": make_user(), "via": "web", "now": now - MINUTE}
    [before] = entries(read(client))

    services.acknowledge(incident_id=incident.pk, **acting)
    acting["now"] = now
    services.tell_public(
        incident_id=incident.pk, **acting, message="Back at noon <soon>."
    )
    [told] = entries(read(client))
    services.resolve_incident(incident_id=incident.pk, even_if_firing=True, **acting)
    [after] = entries(read(client))

    assert text(before, "title") == "Shop: not available"
    assert text(told, "updated") == "2026-03-02T09:00:00+00:00"
    assert "<p>Back at noon &lt;soon&gt;.</p>" in text(told, "summary")
    assert text(after, "title") == "Resolved: Shop was not available"
    assert text(before, "id") == text(told, "id") == text(after, "id")
    assert text(before, "updated") < text(told, "updated")


def test_empty_feed_stays_the_same(client, now):
    first = client.get("/status.atom")
    with time_machine.travel(now + timedelta(days=1)):
        again = client.get("/status.atom", headers={"If-None-Match": first["ETag"]})

    assert again.status_code == 304
    assert entries(read(client)) == []


def test_feed_is_in_one_language_whoever_fetches_it(client, now, settings):
    settings.PORTAL_LANGUAGE = "fr"

    answer = client.get("/status.atom", headers={"Accept-Language": "en"})

    assert b'xml:lang="fr"' in answer.content


def test_letters_that_no_document_may_hold_are_replaced(client, now):
    service = make_service(name="Shop\x08\ufffe & <Co>")
    make_incident(service=service, title="x", started_at=now - HOUR)

    [entry] = entries(read(client))

    assert text(entry, "title") == "Shop\ufffd\ufffd & <Co>: not available"
    assert Incident.objects.get().is_open
