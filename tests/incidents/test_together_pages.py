"""People at one incident together, on its pages; and what follows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import intake, services
from incidents.collaboration import action_items, postmortems
from incidents.models import ActionItem, Postmortem
from monitors.models import MaintenanceWindow
from t4g_portal.roles import MANAGER, ON_CALL
from tests.factories import make_contact, make_service, make_user
from tests.incidents.making import make_incident, reread
from tests.incidents.test_views import HOSTILE, MINUTE, acting, address, said, text_of

pytestmark = pytest.mark.django_db


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


def last_said(response: Any) -> str:
    """What the person is told last; messages wait until a page shows them."""
    return said(response)[-1]


@pytest.fixture
def contact(user):
    return make_contact(name="Ada Lovelace", user=user)


def test_people_hand_over_by_buttons(reader, user, contact, now):
    other = make_user(first_name="Bo", role=ON_CALL)
    bo = make_contact(name="Bo", user=other)
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **acting(user, now))

    asked = reader.post(
        address("ask", incident), {"to": f"contact:{bo.pk}", "comment": "I sleep"}
    )

    assert last_said(asked) == "Asked. It stays as it is until the answer."
    assert "Ada Lovelace asks Bo to take over" in text_of(
        reader.get(address("detail", incident))
    )
    reader.force_login(other)
    page = text_of(reader.get(address("detail", incident)))
    assert "Ada Lovelace asks you to take over" in page
    assert "I sleep" in page
    assert last_said(reader.post(address("accept", incident))) == "Handed over."
    assert reread(incident).holder == "Bo"


def test_declined_and_withdrawn_questions_leave_the_page(reader, user, contact, now):
    other = make_user(first_name="Bo", role=ON_CALL)
    bo = make_contact(name="Bo", user=other)
    incident = make_incident(now=now)
    reader.post(address("ask", incident), {"to": f"contact:{bo.pk}"})

    assert (
        last_said(reader.post(address("withdraw", incident)))
        == "The question is withdrawn."
    )
    reader.post(address("ask", incident), {"to": f"contact:{bo.pk}"})
    reader.force_login(other)
    assert last_said(reader.post(address("decline", incident))).startswith("Declined.")

    assert "asks you" not in text_of(reader.get(address("detail", incident)))
    assert (
        last_said(reader.post(address("accept", incident))) == "Nobody asks any more."
    )


@pytest.mark.parametrize(
    ("name", "form", "problem"),
    [
        ("ask", {"to": "contact:987654"}, "Choose one of the people offered."),
        ("ask", {"to": "captain:1"}, "Choose one of the people offered."),
        ("ask", {"to": "contact:9" * 30}, "Choose one of the people offered."),
        ("ask", {"to": ""}, "Nobody has it. Acknowledge it to take it."),
        ("role", {"role": "captain"}, "Choose one of the roles offered."),
        ("role", {"role": "scribe", "to": ""}, "Nobody is scribe."),
        ("merge", {"into": "x"}, "Choose an open incident."),
        ("merge", {"into": "987654"}, "There is no incident #987654."),
        ("merge", {"into": "9" * 30}, "Choose an open incident."),
    ],
)
def test_what_makes_no_sense_is_said(reader, now, name, form, problem):
    incident = make_incident(now=now)

    words = last_said(reader.post(address(name, incident), form))

    assert words.startswith(problem)


def test_roles_are_shown_where_everybody_looks(reader, contact, now):
    incident = make_incident(now=now)

    reader.post(
        address("role", incident), {"role": "commander", "to": f"contact:{contact.pk}"}
    )

    top = text_of(reader.get(f"{address('detail', incident)}?live"))
    assert "Commander" in top
    assert "Ada Lovelace" in top


def test_merging_leads_to_the_incident_that_goes_on(reader, now):
    source = make_incident(now=now, title="API slow")
    target = make_incident(now=now, title="Disk full")

    response = reader.post(address("merge", source), {"into": target.pk})

    assert response.url == address("detail", target)
    assert "Merged into this one" in text_of(reader.get(response.url))
    page = text_of(reader.get(address("detail", source)))
    assert address("detail", target) in page
    assert f"They are with #{target.pk} now." in page


def test_note_is_markdown_that_harms_nobody(reader, user, now):
    incident = make_incident(now=now)
    services.add_note(
        incident_id=incident.pk,
        text=f"It is **down** {HOSTILE} ![x](https://a.example/p.png)",
        **acting(user, now),
    )

    page = text_of(reader.get(address("detail", incident)))

    assert "<strong>down</strong>" in page
    assert HOSTILE not in page
    assert 'src="https://a.example' not in page
    assert 'rel="noopener noreferrer nofollow"' in page


def test_maintenance_around_the_time_is_shown(reader, now):
    service = make_service()
    window = MaintenanceWindow.objects.create(
        name="Database upgrade", starts_at=now - 90 * MINUTE, duration_s=3600
    )
    window.services.set([service])
    MaintenanceWindow.objects.create(
        name="Of others", starts_at=now - 90 * MINUTE, duration_s=3600
    )
    old = MaintenanceWindow.objects.create(
        name="Long ago", starts_at=now - timedelta(days=3), duration_s=3600
    )
    old.services.set([service])
    incident = make_incident(now=now, service=service)

    page = text_of(reader.get(address("detail", incident)))

    assert "Database upgrade" in page
    assert "Of others" not in page
    assert "Long ago" not in page


# --- What follows ---------------------------------------------------------------------

WHOLE = {"summary": "It **broke**.", "impact": "Nobody signed in.", "cause": "Disk."}


def test_postmortem_is_written_and_finished_on_its_page(reader, now):
    incident = make_incident(now=now, dedup_key="k")
    intake.resolve(dedup_key="k", now=now)
    assert "Postmortem due" in text_of(reader.get(address("detail", incident)))

    saved = reader.post(address("postmortem-edit", incident), WHOLE | {"revision": 0})
    assert last_said(saved) == "Saved."
    assert last_said(reader.post(address("finish", incident))) == "Finished."

    page = text_of(reader.get(address("postmortem", incident)))
    assert "Postmortem finished" in page
    assert "It <strong>broke</strong>." in page
    closed = reader.get(address("postmortem-edit", incident))
    assert last_said(closed) == "It is closed. Open it again to change it."
    assert last_said(reader.post(address("reopen", incident))) == "It is open again."


def test_what_others_saved_is_shown_beside_what_is_typed(reader, user, now):
    incident = make_incident(now=now)
    postmortems.save(
        incident_id=incident.pk, parts={"cause": "Theirs"}, **acting(user, now)
    )

    response = reader.post(
        address("postmortem-edit", incident), {"cause": "Mine", "revision": 0}
    )

    assert response.status_code == 422
    text = response.content.decode()
    assert "Theirs" in text
    assert "Mine" in text
    assert 'name="revision" value="1"' in text
    assert Postmortem.objects.get().cause == "Theirs"


def test_postmortem_can_be_given_away_and_waived(reader, contact, now):
    bo = make_contact(name="Bo")
    incident = make_incident(now=now, dedup_key="k")
    intake.resolve(dedup_key="k", now=now)

    given = reader.post(address("owner", incident), {"to": f"contact:{bo.pk}"})
    assert last_said(given) == "Owner changed."
    assert (
        last_said(reader.post(address("waive", incident), {"reason": ""}))
        == "Say why none is needed."
    )
    waived = reader.post(address("waive", incident), {"reason": "A false alarm"})
    assert last_said(waived) == "No postmortem is needed."


def test_action_items_are_added_changed_and_done(reader, contact, now):
    incident = make_incident(now=now)
    form = {
        "text": "Watch the disk",
        "owner": f"contact:{contact.pk}",
        "due_on": "2026-03-31",
    }
    added = reader.post(address("add-item", incident), form)
    assert last_said(added) == "Action item added."
    item = ActionItem.objects.get()
    page = reverse("incidents:item", args=[item.pk])

    reader.post(page, form | {"text": "Watch every disk"})
    item.refresh_from_db()
    assert item.text == "Watch every disk"
    assert reader.post(page, form | {"due_on": "soon"}).status_code == 422
    assert "Watch every disk" in text_of(reader.get(reverse("incidents:followup")))
    reader.post(reverse("incidents:set-item", args=[item.pk]), {"status": "done"})

    item.refresh_from_db()
    assert item.ended_by_name == "Ada Lovelace"
    assert "Done lately" in text_of(reader.get(reverse("incidents:followup")))


def test_list_of_what_follows_costs_a_fixed_number_of_queries(
    reader, user, contact, now, django_assert_num_queries
):
    for number in range(5):
        incident = make_incident(now=now, dedup_key=f"k{number}")
        intake.resolve(dedup_key=f"k{number}", now=now)
        action_items.add(
            incident_id=incident.pk,
            text="Watch the disk",
            due_on=now.date(),
            **acting(user, now),
        )
    url = reverse("incidents:followup")
    reader.get(url)

    # Session, user and what they may do; their contact; postmortems, items, done ones.
    with django_assert_num_queries(8):
        reader.get(url)


def test_manager_writes_postmortems_but_acts_on_no_incident(client, now):
    client.force_login(make_user(role=MANAGER))
    incident = make_incident(now=now)

    assert client.post(address("merge", incident), {"into": 1}).status_code == 403
    saved = client.post(address("postmortem-edit", incident), WHOLE | {"revision": 0})
    assert last_said(saved) == "Saved."
    page = text_of(client.get(address("detail", incident)))
    assert "Ask to take over" not in page
