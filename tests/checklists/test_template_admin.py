"""The admin of templates: the draft is edited, versions are proposed and published."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from checklists import differences
from checklists.content import content_of
from checklists.models import ChecklistTemplate, TemplateItem, TemplateVersion
from t4g_portal.roles import MANAGER, OPS
from tests.checklists.making import make_template, publish
from tests.factories import make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def client_of(**who: Any) -> Client:
    client = Client()
    client.force_login(make_user(**who))
    return client


def versions_url(template: ChecklistTemplate) -> str:
    return reverse("admin:checklists_checklisttemplate_versions", args=[template.pk])


def act(client: Client, template: ChecklistTemplate, name: str, **values: Any) -> str:
    answer = client.post(versions_url(template), {"act": name, **values}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_draft_is_proposed_and_published_on_one_page():
    template = make_template({"title": "The rollback was rehearsed"})
    client = client_of(role=OPS)

    shown = client.get(versions_url(template)).content.decode()
    act(client, template, "propose")
    said = act(client, template, "publish", number=1)

    assert "The rollback was rehearsed" in shown
    assert "Version 1 is published. New runs copy it." in said
    assert TemplateVersion.objects.get().published_by_name


def test_what_differs_from_the_published_version_is_shown():
    template = make_template({"title": "Old words"}, {"title": "Leaves"})
    publish(template, now=NOW)
    first, second = template.sections.get().items.order_by("pk")
    first.title = "New words"
    first.signatures_required = 2
    first.save()
    second.delete()

    page = client_of(role=MANAGER).get(versions_url(template)).content.decode()

    for words in ("Old words", "New words", "Leaves", "removed"):
        assert words in page
    assert "Propose this draft" not in page


def test_refusal_says_what_to_do():
    template = make_template({"is_blocking": False})

    said = act(client_of(role=OPS), template, "propose")

    assert "No item blocks the release" in said
    assert not TemplateVersion.objects.exists()


@pytest.mark.parametrize("number", ["", "x", "7", "9" * 30, "²"])
def test_version_that_is_not_there_is_refused(number: str):
    template = make_template()
    publish(template, now=NOW)

    said = act(client_of(role=OPS), template, "withdraw", number=number, reason="r")

    assert "There is no such version" in said


def test_withdrawing_asks_why():
    template = make_template()
    publish(template, now=NOW)
    client = client_of(role=OPS)

    refused = act(client, template, "withdraw", number=1)
    act(client, template, "withdraw", number=1, reason="Wrong items")

    assert "Say why it is withdrawn." in refused
    assert TemplateVersion.objects.get().withdrawn_reason == "Wrong items"


def test_draft_differs_in_fields_items_and_order():
    template = make_template({"title": "One"}, {"title": "Two"})
    old = content_of(template)
    first, second = template.sections.get().items.order_by("pk")
    first.position, second.position = 9, 1
    first.is_blocking = False
    first.save()
    second.save()
    new = content_of(template)

    found = differences.between(old, new)

    assert [one.title for one in found] == ["The template", "One"]
    assert [(line.old, line.new) for line in found[1].lines] == [("yes", "no")]
    assert differences.between(new, new) == []


def test_item_needs_a_key_of_its_own_in_the_template():
    template = make_template({"key": "health"})
    other = template.sections.create(key="more", title="More")

    answer = client_of(role=OPS).post(
        reverse("admin:checklists_templateitem_add"),
        {
            "section": other.pk,
            "position": 1,
            "key": "health",
            "title": "Again",
            "kind": "manual",
            "signatures_required": 1,
            "parameters": "{}",
        },
    )

    assert "Another item of the template has this key." in answer.content.decode()
    assert TemplateItem.objects.count() == 1


def test_list_says_which_version_runs_copy():
    publish(make_template({}, {}), now=NOW)
    make_template(name="Draft alone")

    page = client_of(role=OPS).get(
        reverse("admin:checklists_checklisttemplate_changelist")
    )

    assert "Version 1" in page.content.decode()
    assert "Not published" in page.content.decode()


def test_item_form_offers_verifiers_and_groups():
    make_user(role=OPS)
    item = make_template().sections.get().items.get()

    page = client_of(role=OPS).get(
        reverse("admin:checklists_templateitem_change", args=[item.pk])
    )

    text = page.content.decode()
    assert '<option value="monitor_up">' in text
    assert '<option value="Ops">' in text
