"""A page asks for a permission and names the one that is missing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.http import HttpResponse
from django.test import RequestFactory

from t4g_portal.lib.access import PermissionMissing, requires

pytestmark = pytest.mark.django_db


@requires("auth.view_user")
def page(request):
    return HttpResponse("seen")


def request_by(user):
    request = RequestFactory().get("/somewhere/?a=1")
    request.user = user
    return request


def test_anonymous_is_sent_to_the_login_page_and_back():
    answer = page(request_by(AnonymousUser()))

    assert answer.status_code == 302
    assert answer["Location"].endswith("/admin/login/?next=/somewhere/%3Fa%3D1")


def test_missing_permission_is_named():
    somebody = User.objects.create_user("somebody")

    with pytest.raises(PermissionMissing) as raised:
        page(request_by(somebody))

    assert raised.value.permission == "auth.view_user"


def test_who_has_the_permission_sees_the_page():
    somebody = User.objects.create_user("somebody")
    somebody.user_permissions.add(Permission.objects.get(codename="view_user"))

    assert page(request_by(somebody)).content == b"seen"


def test_view_tells_what_it_requires():
    assert getattr(page, "required_permissions", ()) == ("auth.view_user",)


def test_every_one_of_several_permissions_is_asked_for():
    somebody = User.objects.create_user("somebody")
    somebody.user_permissions.add(Permission.objects.get(codename="view_user"))

    with pytest.raises(PermissionMissing) as raised:
        requires("auth.view_user", "auth.view_group")(page)(request_by(somebody))

    assert raised.value.permission == "auth.view_group"
