"""The audit chain can be looked at in the admin, and only that."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from t4g_portal.lib.audit import Actor, append
from t4g_portal.roles import AUDITOR, MANAGER, seed_roles

pytestmark = pytest.mark.django_db

LIST = reverse("admin:cellar_auditentry_changelist")


def make_entry(*, now, **details):
    return append(
        action="checklist.signed",
        subject="run:12",
        actor=Actor.key(key_id="k1", name="CI deploys"),
        details=details,
        now=now,
    )


def sign_in(client, role, *, now) -> None:
    seed_roles(now=now)
    user = User.objects.create_user("someone", is_staff=True)
    user.groups.add(Group.objects.get(name=role.name))
    client.force_login(user)


def test_auditor_finds_who_did_what(client, now):
    entry = make_entry(now=now)
    sign_in(client, AUDITOR, now=now)

    page = client.get(LIST, {"q": "run:12"}).content.decode()

    for word in ("CI deploys", "API key", "checklist.signed", entry.hash[:12]):
        assert word in page


def test_page_of_an_entry_shows_its_details_and_its_links(client, now):
    make_entry(now=now)
    entry = make_entry(now=now, comment="<b>ok</b>")
    sign_in(client, AUDITOR, now=now)

    url = reverse("admin:cellar_auditentry_change", args=[entry.seq])
    page = client.get(url).content.decode()

    assert entry.prev_hash in page
    assert entry.hash in page
    assert "&lt;b&gt;ok&lt;/b&gt;" in page


def test_list_has_a_fixed_number_of_queries(client, now, django_assert_max_num_queries):
    for _ in range(60):
        make_entry(now=now)
    sign_in(client, AUDITOR, now=now)
    client.get(LIST)

    with django_assert_max_num_queries(12):
        client.get(LIST)


def test_manager_is_not_let_in(client, now):
    sign_in(client, MANAGER, now=now)

    assert client.get(LIST).status_code == 403


def test_superuser_can_neither_add_nor_change_nor_delete(admin_client, now):
    entry = make_entry(now=now)
    urls = [
        reverse("admin:cellar_auditentry_add"),
        reverse("admin:cellar_auditentry_change", args=[entry.seq]),
        reverse("admin:cellar_auditentry_delete", args=[entry.seq]),
    ]

    assert [admin_client.post(url).status_code for url in urls] == [403] * 3
