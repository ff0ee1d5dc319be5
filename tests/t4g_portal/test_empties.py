"""Every empty list of the admin says what will appear in it, or how to see more."""

from __future__ import annotations

import pytest

from t4g_portal.empties import empty_of
from t4g_portal.navigation import GROUPS
from tests.factories import make_service, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops(client):
    client.force_login(make_user(username="ops", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize(
    "model", [entry.model for group in GROUPS for entry in group.entries]
)
def test_each_list_of_the_navigation_has_words_of_its_own(db, model):
    assert empty_of(model.lower()) is not empty_of("no.model")


def test_an_empty_list_says_what_belongs_there_and_how(ops):
    page = ops.get("/admin/incidents/service/").text

    assert "What users depend on" in page
    assert 'href="/admin/incidents/service/add/"' in page
    assert 'href="/first-steps/"' in page
    assert "Clear the filters" not in page


def test_a_filter_that_fits_nothing_can_be_cleared(ops):
    make_service(name="Shop")

    page = ops.get("/admin/incidents/service/?q=nothing").text

    assert "No row fits" in page
    assert "Clear the filters" in page


def test_who_may_not_add_is_offered_nothing_to_add(client):
    from django.contrib.auth.models import Permission

    user = make_user(username="viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_service"))
    client.force_login(user)

    page = client.get("/admin/incidents/service/").text

    assert "What users depend on" in page
    assert "/add/" not in page
    assert "/first-steps/" not in page
