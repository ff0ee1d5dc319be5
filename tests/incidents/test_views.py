"""The list and the incident page, as people use them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from incidents import intake, services
from incidents.models import Incident, IncidentEvent
from t4g_portal.roles import MANAGER, ON_CALL
from tests.factories import (
    make_channel,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import deliver, make_alert, make_incident, outbox, reread

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOSTILE = "<script>alert(1)</script>"
ACTS = [
    "ask",
    "accept",
    "decline",
    "withdraw",
    "role",
    "merge",
    "acknowledge",
    "escalate",
    "unacknowledge",
    "resolve",
    "note",
    "public",
    "snooze",
    "priority",
]


@pytest.fixture
def now():
    """These pages measure from the real time."""
    return timezone.now().replace(microsecond=0) - MINUTE


@pytest.fixture
def user():
    return make_user(first_name="Ada", last_name="Lovelace", role=ON_CALL)


@pytest.fixture
def reader(client, user):
    client.force_login(user)
    return client


def address(name: str, incident: Incident | None = None) -> str:
    return reverse(f"incidents:{name}", args=[incident.pk] if incident else [])


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def said(response: Any) -> list[str]:
    """What the person is told after a button, having been sent back to the page."""
    assert response.status_code == 302, response.content
    return [str(message) for message in get_messages(response.wsgi_request)]


def acting(user, now, **values) -> dict[str, Any]:
    return {"user": user, "via": "web", "now": now, **values}


@pytest.mark.parametrize("name", ["list", "detail"])
def test_pages_ask_for_a_login(client, now, name):
    incident = make_incident(now=now)

    response = client.get(address(name, incident if name == "detail" else None))

    assert response.status_code == 302
    assert "/login/" in response.url


@pytest.mark.parametrize("name", ACTS)
def test_buttons_ask_for_a_login(client, now, name):
    incident = make_incident(now=now)

    response = client.post(address(name, incident))

    # Back to the page that has the button, which answers a GET.
    assert "/login/" in response.url
    assert response.url.endswith(f"?next={address('detail', incident)}")
    assert incident.events.count() == reread(incident).events.count()
    assert reread(incident).status == Incident.Status.TRIGGERED


@pytest.mark.parametrize("name", ACTS)
def test_looking_at_a_buttons_address_changes_nothing(reader, now, name):
    incident = make_incident(now=now)

    assert reader.get(address(name, incident)).status_code == 405
    assert reread(incident).status == Incident.Status.TRIGGERED


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("number", [987_654, 10**25])
def test_unknown_incident_is_not_found(reader, name, number):
    form = {
        "text": "x",
        "minutes": "30",
        "priority": "p1",
        "role": "scribe",
        "into": "1",
    }

    assert reader.get(f"/incidents/{number}/").status_code == 404
    assert reader.post(f"/incidents/{number}/{name}/", form).status_code == 404


def test_buttons_need_the_token_of_the_page(user, now):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    incident = make_incident(now=now)

    assert strict.post(address("acknowledge", incident)).status_code == 403
    assert reread(incident).status == Incident.Status.TRIGGERED


def test_empty_list_says_that_nothing_is_open(reader):
    text = text_of(reader.get(address("list")))

    assert "Nothing is open" in text
    assert "Each incident that ended appears here" in text


def test_list_shows_who_must_act_first(reader, user, now):
    make_priority_rules(make_channel())
    make_incident(now=now, priority="p2", title="Slow login")
    make_incident(now=now, title="API is down")
    taken = make_incident(now=now, title="Latency is high")
    services.acknowledge(incident_id=taken.pk, **acting(user, now))
    quiet = make_incident(now=now, title="Odd numbers")
    services.snooze(incident_id=quiet.pk, **acting(user, now, until=now + 60 * MINUTE))
    make_incident(now=now, dedup_key="k", title="Disk was full")
    intake.resolve(dedup_key="k", now=now)

    text = text_of(reader.get(address("list")))

    assert "2 incidents wait for somebody" in text
    places = [
        text.index(title)
        for title in (
            "API is down",
            "Slow login",
            "Latency is high",
            "Odd numbers",
            "Disk was full",
        )
    ]
    assert places == sorted(places)
    assert "Ada Lovelace" in text


def test_list_says_in_red_that_nobody_could_be_told(reader, now):
    make_incident(now=now)

    assert "Nobody could be told" in text_of(reader.get(address("list")))


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%ff",
        "q=" + "9" * 40,
        "before=" + "9" * 40,
        "before=-1",
        "before=%C2%B2",
        "priority=p9&status=lost&service=x%00",
        "live",
    ],
)
def test_strange_questions_get_an_answer(reader, now, query):
    make_incident(now=now)

    assert reader.get(f"{address('list')}?{query}").status_code == 200


def test_older_incidents_are_one_click_away(reader, now, monkeypatch):
    monkeypatch.setattr("incidents.queries.PAST_A_PAGE", 1)
    for key in ("first", "second"):
        make_incident(now=now, dedup_key=key, title=f"The {key} one")
        intake.resolve(dedup_key=key, now=now)

    page = text_of(reader.get(f"{address('list')}?priority=p0"))
    assert "The first one" not in page
    older = f"?priority=p0&amp;before={Incident.objects.latest('pk').pk}"
    assert older in page

    assert "The first one" in text_of(
        reader.get(address("list") + older.replace("&amp;", "&"))
    )


def test_page_answers_what_broke_how_bad_since_when_and_who(reader, now):
    make_priority_rules(make_channel(name="Ops channel"))
    service = make_service(name="Backend", runbook_url="https://wiki.example.org/api")
    incident = make_incident(now=now, service=service)
    deliver(now=now)

    text = text_of(reader.get(address("detail", incident)))

    for words in (
        "P0",
        "Triggered",
        "Backend: API health is down",
        "Nobody has it.",
        "An answer is due <time",
        "Acknowledge",
        "HTTP 503, expected 200–299",
        "Ops channel",
        "Next page <time",
        "https://wiki.example.org/api",
        "Opened as P0",
    ):
        assert words in text


def test_acknowledged_page_says_who_has_it_and_offers_no_button(reader, user, now):
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **acting(user, now))

    text = text_of(reader.get(address("detail", incident)))

    assert "Ada Lovelace has it" in text
    assert "Nobody is paged any more." in text
    assert "inc-acknowledge-button" not in text
    assert "Take the acknowledgement back" in text


def test_snoozed_page_says_until_when(reader, user, now):
    incident = make_incident(now=now)
    services.snooze(
        incident_id=incident.pk, **acting(user, now, until=now + 60 * MINUTE)
    )

    text = text_of(reader.get(address("detail", incident)))

    assert "then it pages again." in text
    assert "An answer" not in text


def test_resolved_page_says_when_it_ended_and_offers_only_notes(reader, now):
    incident = make_incident(now=now, dedup_key="k")
    intake.resolve(dedup_key="k", now=now)

    text = text_of(reader.get(address("detail", incident)))

    assert "It ended by itself." in text
    assert "Add note" in text
    for act in ("resolve", "snooze", "priority", "unacknowledge"):
        assert address(act, incident) not in text
    assert "inc-acknowledge-button" not in text


def test_page_of_the_digest_priority_says_that_nobody_is_paged(reader, now):
    incident = make_incident(now=now, priority="p3")

    assert "daily digest" in text_of(reader.get(address("detail", incident)))


def test_page_says_that_nobody_could_be_told_and_where_to_mend_it(reader, now):
    incident = make_incident(now=now)

    text = text_of(reader.get(address("detail", incident)))

    assert "Nobody could be told: no channel carried the page." in text
    assert reverse("admin:notifications_channel_changelist") in text


def test_hostile_texts_are_shown_as_text(reader, user, now):
    make_priority_rules(make_channel(name=HOSTILE))
    service = make_service(name=HOSTILE)
    incident = make_incident(
        now=now, service=service, title=HOSTILE, detail=HOSTILE, source=HOSTILE
    )
    services.add_note(incident_id=incident.pk, **acting(user, now, text=HOSTILE))
    user.first_name = HOSTILE
    user.save()
    services.acknowledge(incident_id=incident.pk, **acting(user, now))

    for page in (
        address("list"),
        f"{address('list')}?q={HOSTILE}",
        address("detail", incident),
    ):
        text = text_of(reader.get(page))
        assert HOSTILE not in text
        assert "&lt;script&gt;alert(1)" in text


def test_live_part_is_sent_again_only_when_it_changed(reader, user, now):
    incident = make_incident(now=now - timedelta(days=3))
    url = f"{address('detail', incident)}?live"

    first = reader.get(url)
    same = reader.get(url, headers={"if-none-match": first["ETag"]})
    services.acknowledge(incident_id=incident.pk, **acting(user, now))
    other = reader.get(url, headers={"if-none-match": first["ETag"]})

    assert "<html" not in text_of(first)
    assert same.status_code == 304
    assert "Ada Lovelace has it" in text_of(other)


def test_page_costs_a_fixed_number_of_queries(reader, now, django_assert_num_queries):
    make_priority_rules(make_channel(), make_channel())
    incident = make_incident(now=now)
    for _ in range(10):
        make_alert(now=now, service=incident.service)
    reader.get(address("detail", incident))

    # Session, user and what they may do; the incident, who was told, who is next, the
    # last note, alerts, timeline, similar incidents; the reader's contact, an open
    # question, roles, whom to choose (two), what to merge into, action items, what was
    # merged, windows and deployments around.
    with django_assert_num_queries(25):
        reader.get(address("detail", incident))


def test_refresh_of_the_first_answer_costs_less(reader, now, django_assert_num_queries):
    make_priority_rules(make_channel(), make_channel())
    incident = make_incident(now=now)
    reader.get(address("detail", incident))

    with django_assert_num_queries(14):
        reader.get(f"{address('detail', incident)}?live")


def test_list_costs_a_fixed_number_of_queries(reader, now, django_assert_num_queries):
    make_priority_rules(make_channel())
    for number in range(10):
        make_incident(now=now)
        make_incident(now=now, dedup_key=f"k{number}")
        intake.resolve(dedup_key=f"k{number}", now=now)
    reader.get(address("list"))

    # Session, user and what they may do; open, past, response times, services.
    with django_assert_num_queries(9):
        reader.get(address("list"))


def test_acknowledge_button_takes_the_incident(reader, user, now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    response = reader.post(address("acknowledge", incident))

    assert said(response) == ["Acknowledged. Nobody is paged about it any more."]
    assert response.url == address("detail", incident)
    assert reread(incident).acknowledged_by == user
    event = incident.events.get(kind=IncidentEvent.Kind.ACKNOWLEDGED)
    assert (event.actor, event.via) == (user, "web")


def test_second_person_is_told_who_was_faster(reader, now):
    incident = make_incident(now=now)
    other = make_user(first_name="Grace")
    services.acknowledge(incident_id=incident.pk, **acting(other, now))

    response = reader.post(address("acknowledge", incident))

    assert said(response) == ["Grace has already acknowledged it."]
    assert reread(incident).acknowledged_by == other


def test_taking_back_pages_again(reader, user, now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **acting(user, now))

    reader.post(address("unacknowledge", incident))

    assert reread(incident).status == Incident.Status.TRIGGERED
    assert len(outbox("page", "queued")) == 1


def test_resolve_needs_the_box_while_alerts_fire(reader, user, now):
    incident = make_incident(now=now)

    refused = reader.post(address("resolve", incident))
    assert "1 alert is still firing" in said(refused)[0]
    assert reread(incident).is_open

    done = reader.post(address("resolve", incident), {"even_if_firing": "on"})
    # The first answer was never shown, so its words come along.
    assert said(done)[-1] == "Resolved."
    assert reread(incident).resolved_by == user


def test_note_stands_on_the_page(reader, now):
    incident = make_incident(now=now)

    reader.post(address("note", incident), {"text": "Restarted the API."})

    assert "Restarted the API." in text_of(reader.get(address("detail", incident)))


@pytest.mark.parametrize("form", [{}, {"text": " "}, {"text": "n" * 10_001}])
def test_unusable_note_is_refused_in_words(reader, now, form):
    incident = make_incident(now=now)

    response = reader.post(address("note", incident), form)

    assert response.status_code == 422
    page = response.content.decode()
    assert 'id="inc-note-error">The note ' in page
    # What was typed is still there.
    assert form.get("text", "").strip() in page
    assert not incident.events.filter(kind="note").exists()


def test_snooze_lasts_as_long_as_was_chosen(reader, now):
    incident = make_incident(now=now)

    reader.post(address("snooze", incident), {"minutes": "120"})

    until = reread(incident).snoozed_until
    assert until is not None
    length = until - timezone.now()
    assert timedelta(minutes=119) < length <= timedelta(minutes=120)


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("snooze", {}, "Choose for how long to snooze."),
        ("snooze", {"minutes": "31"}, "Choose one of the lengths offered."),
        ("snooze", {"minutes": "-1\x00"}, "Choose one of the lengths offered."),
        ("priority", {}, "Choose a priority."),
        ("priority", {"priority": "p9"}, "Choose one of the priorities P0 to P3."),
        ("priority", {"priority": "p0"}, "It is P0 already."),
        ("unacknowledge", {}, "Nobody has acknowledged it."),
    ],
)
def test_what_can_not_be_done_is_said_on_the_page(reader, now, name, form, words):
    incident = make_incident(now=now)

    assert said(reader.post(address(name, incident), form)) == [words]
    assert reread(incident).status == Incident.Status.TRIGGERED


def test_escalate_button_pages_the_next_step(reader, now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    answer = reader.post(address("escalate", incident))

    assert said(answer) == ["Escalated: the next step is paged now."]
    assert incident.events.filter(kind="escalated_now").exists()


def test_priority_button_pins_it(reader, now):
    incident = make_incident(now=now)

    reader.post(address("priority", incident), {"priority": "p2"})

    changed = reread(incident)
    assert (changed.priority, changed.is_priority_pinned) == ("p2", True)


def test_who_only_looks_is_shown_no_button(client, now):
    incident = make_incident(now=now)
    client.force_login(make_user(role=MANAGER))

    page = client.get(address("detail", incident)).content.decode()
    forms = re.findall(r'<form[^>]*action="(/incidents/[^"]*)"', page)

    assert forms == []
    assert "inc-acknowledge" not in page


def test_who_only_looks_is_told_what_to_ask_for(client, now):
    incident = make_incident(now=now)
    client.force_login(make_user(role=MANAGER))

    answer = client.post(address("acknowledge", incident))

    assert answer.status_code == 403
    assert reread(incident).status == Incident.Status.TRIGGERED


def test_who_may_look_sees_no_button_and_may_press_none(client, now):
    client.force_login(make_user(role=MANAGER))
    incident = make_incident(now=now)

    text = text_of(client.get(address("detail", incident)))

    for act in ACTS:
        assert address(act, incident) not in text
        assert client.post(address(act, incident)).status_code == 403
    assert reread(incident).status == Incident.Status.TRIGGERED


def test_page_says_what_was_tried_and_who_is_told_next(reader, user, now):
    make_priority_rules(make_channel(name="Ops channel"))
    incident = make_incident(now=now)
    services.add_note(
        incident_id=incident.pk, **acting(user, now, text="Restarted it, no change.")
    )

    text = text_of(reader.get(f"{address('detail', incident)}?live"))

    assert "Last note, Ada Lovelace" in text
    assert "Restarted it, no change." in text
    assert ", to Ops channel." in text


def test_page_leads_to_the_runbook_of_whatever_raised_it(reader, now):
    runbook = "https://wiki.example.org/login"
    incident = make_incident(now=now, runbook_url=runbook)

    assert f'href="{runbook}"' in text_of(reader.get(address("detail", incident)))


@pytest.mark.parametrize("part", ["", "alerts", "timeline", "\x00", "lost"])
def test_each_live_part_is_sent_again_only_when_it_changed(reader, now, part):
    incident = make_incident(now=now - timedelta(days=3))
    url = f"{address('detail', incident)}?live={part}"

    first = reader.get(url)

    assert "<html" not in text_of(first)
    again = reader.get(url, headers={"if-none-match": first["ETag"]})
    assert again.status_code == 304


def test_public_is_told_on_the_page(reader, now):
    incident = make_incident(now=now)

    response = reader.post(
        address("public", incident), {"message": "Back at noon.", "is_public": "on"}
    )

    assert said(response) == ["The status page shows it."]
    assert reread(incident).public_message == "Back at noon."


def test_incident_is_taken_off_the_status_page(reader, now):
    incident = make_incident(now=now)

    response = reader.post(address("public", incident), {"message": ""})

    assert said(response) == ["The status page does not show it."]
    assert not reread(incident).is_public


def test_public_message_that_is_refused_is_kept_as_it_was_typed(reader, now):
    incident = make_incident(now=now)
    typed = "Back at noon.\x00 " + "m" * 1000

    response = reader.post(
        address("public", incident), {"message": typed, "is_public": "on"}
    )

    assert response.status_code == 422
    page = response.content.decode()
    assert "Back at noon. mmm" in page
    assert "1014 characters; 1000 fit" in page
    assert reread(incident).public_message == ""


def test_service_that_is_not_public_offers_nothing_to_tell(reader, now):
    incident = make_incident(now=now, service=make_service(is_public=False))

    assert "Tell the public" not in text_of(reader.get(address("detail", incident)))


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"text=%00&message=%00&minutes=%00&priority=%00&even_if_firing=%00",
        b"text=%FF%FE&message=%FF&minutes=1e9&priority=p0%0d&is_public=maybe",
        b"minutes=" + b"9" * 5000,
        b"&&&===%%%",
    ],
)
def test_strange_forms_get_an_answer(reader, now, act, body):
    incident = make_incident(now=now)

    answer = reader.post(
        address(act, incident), body, content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code in {302, 422}
