"""What every table in the admin does alike: permissions, unknown rows, bad input."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.admin import LookOnlyAdmin, PortalAdmin
from tests.factories import make_service, make_user

pytestmark = pytest.mark.django_db

TABLES = sorted(
    (model for model in admin.site._registry), key=lambda model: model._meta.label
)


def address(model: Any, page: str, *args: Any) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


@pytest.fixture
def ops(client: Client) -> Client:
    """Somebody who may change everything."""
    client.force_login(make_user(is_superuser=True))
    return client


def test_every_table_wears_the_portals_class():
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, PortalAdmin), model


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_missing_permission_is_refused_with_its_name(client: Client, model: Any, rf):
    user = make_user()
    client.force_login(user)
    view = f"{model._meta.app_label}.view_{model._meta.model_name}"
    request = rf.get("/")
    request.user = user

    with pytest.raises(PermissionMissing) as refusal:
        admin.site._registry[model].changelist_view(request)

    assert refusal.value.permission == view
    for page in ("changelist", "add"):
        assert client.get(address(model, page)).status_code == 403
    for page in ("change", "delete", "history"):
        assert client.get(address(model, page, 1)).status_code == 403


def test_reader_is_told_which_permission_saving_asks_for(rf):
    user = make_user()
    user.user_permissions.set(Permission.objects.filter(codename="view_service"))
    service = make_service()
    request = rf.post("/", {"name": "x"})
    request.user = user
    services = admin.site._registry[type(service)]

    for view, act in (("changeform_view", "change"), ("delete_view", "delete")):
        with pytest.raises(PermissionMissing) as refusal:
            getattr(services, view)(request, str(service.pk))
        assert refusal.value.permission == f"incidents.{act}_service"


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
@pytest.mark.parametrize(
    "number", ["999999999", "9" * 30, "-1", "abc", "1.5", "%00", "é'\"<", "1_2F", "_00"]
)
def test_unknown_row_is_404_whatever_its_number_looks_like(
    ops: Client, model: Any, number: str
):
    pages = ["change", "history"]
    if not isinstance(admin.site._registry[model], LookOnlyAdmin):
        pages.append("delete")

    for page in pages:
        url = address(model, page, "NUMBER").replace("NUMBER", number)
        assert ops.get(url).status_code == 404, url
