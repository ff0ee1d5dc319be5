"""What a browser remembers of one person is never another's answer."""

from __future__ import annotations

import pytest
from django.test import Client

from incidents.models import Incident
from monitors.models import Monitor
from t4g_portal.roles import MANAGER
from tests.access.world import make_world
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PAGES = [
    "/",
    "/?live",
    "/monitors/",
    "/monitors/?live",
    "/monitors/{monitor}/",
    "/monitors/{monitor}/?live",
    "/incidents/",
    "/incidents/?live",
    "/incidents/{incident}/",
    "/incidents/{incident}/?live",
]


@pytest.mark.parametrize("page", PAGES)
def test_tag_of_a_page_is_good_for_one_person_only(page: str, now):
    world = make_world(now=now)
    url = page.format(monitor=world[Monitor].pk, incident=world[Incident].pk)
    clients = {}
    for user in (make_user(is_superuser=True), make_user(role=MANAGER), make_user()):
        clients[user.username] = client = Client()
        client.force_login(user)
    full, looking, without_role = clients.values()

    answer = full.get(url)
    tag = answer.headers.get("ETag", "*")
    again = looking.get(url, headers={"If-None-Match": tag})

    # The same words for both is the one case in which the tag may be the same.
    is_same = looking.get(url).content == answer.content
    assert again.status_code == 200 or (is_same and tag != "*")
    assert without_role.get(url, headers={"If-None-Match": tag}).status_code == 403
    assert Client().get(url, headers={"If-None-Match": tag}).status_code == 302
    assert "Cookie" in answer.headers["Vary"]
