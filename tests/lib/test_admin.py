"""What every table in the admin does alike: permissions, unknown rows, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import reverse

from t4g_portal import errors
from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.admin import LookOnlyAdmin, PortalAdmin
from t4g_portal.lib.admin.input import BoundedPaginator
from t4g_portal.site import PortalSite
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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without the navigation: the same on each, it would cost half of the time."""
    monkeypatch.setattr(PortalSite, "get_sidebar_list", lambda *args: [])
    # In whose place Django's own would be drawn.
    monkeypatch.setattr(PortalSite, "get_app_list", lambda *args: [])


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


UNKNOWN_NUMBERS = (
    "999999999",
    "9" * 30,
    "-1",
    "abc",
    "1.5",
    "%00",
    "é'\"<",
    "1_2F",
    "_00",
)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_unknown_row_is_404_whatever_its_number_looks_like(
    ops: Client, model: Any, monkeypatch: pytest.MonkeyPatch
):
    # The same page each time: drawing it would cost four fifths of the time.
    monkeypatch.setattr(
        errors,
        "render_page",
        lambda *args, title, status: HttpResponse(title, status=status),
    )
    pages = ["change", "history"]
    if not isinstance(admin.site._registry[model], LookOnlyAdmin):
        pages.append("delete")
    urls = [
        address(model, page, "NUMBER").replace("NUMBER", number)
        for page in pages
        for number in UNKNOWN_NUMBERS
    ]

    found = [url for url in urls if ops.get(url).status_code != 404]

    assert found == []


# --- Bad input ------------------------------------------------------------------------

# A value for each kind of nonsense; "{}" stands for a column of the table.
BAD_QUERIES = [
    "q=%00",
    "q=" + "x" * 5000,
    "q='%22%3B--%25_%5C",
    "q=%F0%9F%92%A9%20%D8%A7",
    "p=abc",
    "p=99999999999999999999999",
    "p=-1",
    "p=%00",
    "o=99.-99.x.%00",
    "o=9999999999999999999999999",
    "e=1",
    "all=",
    "_popup=1",
    "_to_field=password",
    "_changelist_filters=%00%26q%3D%00",
    "nonsense=1",
    "nonsense__in=%00",
    "id=abc",
    "id=%00",
    "id__in=a,b",
    "id__in=%00",
    "id__exact=99999999999999999999999999",
    "id__isnull=maybe",
    "{}=%00",
    "{}__exact=%00",
    "{}__in=%00,%00",
    "{}__isnull=%00",
    "{}__gte=9999-99-99",
    "{}__exact=" + "9" * 400,
    "{}__year=99999",
    "{}__year=abc",
    "{}__month=0&{}__year=2026",
    "{}__day=31&{}__month=2&{}__year=2026",
    "{}__regex=(",
    "{}__id__exact=%00",
    "{}__id__exact=x",
    "{}__id__exact=99999999999999999999999",
    "{}__nonsense__exact=1",
]


def bad_addresses(model: Any) -> list[str]:
    model_admin = admin.site._registry[model]
    columns = {model._meta.pk.name}
    columns |= {
        one[0] if isinstance(one, tuple) else one
        for one in model_admin.list_filter
        if not isinstance(one, type)
    }
    columns |= {
        getattr(one, "parameter_name", "")
        for one in model_admin.list_filter
        if isinstance(one, type)
    }
    start = address(model, "changelist")
    return [
        f"{start}?{query.replace('{}', column)}"
        for query in BAD_QUERIES
        for column in (sorted(columns) if "{}" in query else [""])
    ]


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_no_list_falls_over_bad_filters(bare: None, ops: Client, model: Any):
    ops.raise_request_exception = False
    broken = [url for url in bad_addresses(model) if ops.get(url).status_code >= 500]

    assert broken == []


BAD_ACTIONS: list[dict[str, Any]] = [
    {},
    {"action": ""},
    {"action": "nonsense", "_selected_action": ["1"]},
    {"action": "ACTION", "_selected_action": ["abc", "\0", "9" * 40, "-1", ""]},
    {"action": "ACTION", "_selected_action": ["999999"], "index": "x"},
    {"action": "ACTION", "_selected_action": ["1"], "index": "99"},
    {"action": "ACTION", "select_across": "x", "_selected_action": ["\0"]},
    {"action": "ACTION", "post": "yes", "_selected_action": ["abc"]},
    {"_save": "1", "form-TOTAL_FORMS": "x", "form-INITIAL_FORMS": "\0"},
    {"_save": "1", "form-TOTAL_FORMS": "9" * 30, "form-INITIAL_FORMS": "1"},
    {
        "_save": "1",
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": "abc",
    },
    {
        "_save": "1",
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": "9" * 30,
    },
]


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model._meta.label)
def test_no_list_falls_over_bad_actions(bare: None, ops: Client, model: Any, rf):
    ops.raise_request_exception = False
    request = rf.get("/")
    request.user = make_user(is_superuser=True)
    actions = list(admin.site._registry[model].get_actions(request)) or ["none"]
    broken = []
    for action in actions:
        for data in BAD_ACTIONS:
            sent = {
                name: action if value == "ACTION" else value
                for name, value in data.items()
            }
            if ops.post(address(model, "changelist"), sent).status_code >= 500:
                broken.append(sent)

    assert broken == []


NASTY = [
    "",
    "\0",
    "x" * 20_000,
    "9" * 400,
    "-1",
    "1e999",
    "nan",
    '{"a": "\\u0000"}',
    "[" * 5000,
    "{",
    "💩‮",
    "2026-13-45",
    "<script>",
]
# Tried in each field alone, too.
HARD = ("\0", "9" * 400, '{"a": "\\u0000"}', "[" * 5000)
FORMS = [
    one for one in TABLES if not isinstance(admin.site._registry[one], LookOnlyAdmin)
]


def add_address(model: Any) -> str:
    needs_kind = model._meta.model_name in {"monitor", "datasource"}
    return address(model, "add") + ("?kind=http" if needs_kind else "")


@pytest.mark.parametrize("model", FORMS, ids=lambda model: model._meta.label)
def test_no_form_falls_over_bad_values(bare: None, ops: Client, model: Any):
    ops.raise_request_exception = False
    url = add_address(model)
    form = ops.get(url).context["adminform"].form

    broken = [
        value[:30]
        for value in NASTY
        if ops.post(url, dict.fromkeys(form.fields, value)).status_code >= 500
    ]

    assert broken == []


@pytest.mark.parametrize("model", FORMS, ids=lambda model: model._meta.label)
def test_no_form_falls_over_one_bad_value(
    bare: None, ops: Client, model: Any, monkeypatch: pytest.MonkeyPatch
):
    ops.raise_request_exception = False
    url = add_address(model)
    form = ops.get(url).context["adminform"].form
    good = good_form(form)
    drawn = 0

    def draw(answer: TemplateResponse) -> str:
        """Draw one field: the test above draws whole pages of bad values."""
        nonlocal drawn
        drawn += 1
        shown = answer.context_data["adminform"].form  # type: ignore[index]
        return f"{shown[name]}{shown[name].errors}{shown.non_field_errors()}"

    monkeypatch.setattr(TemplateResponse, "rendered_content", property(draw))
    broken = []
    for name, value in itertools.product(form.fields, HARD):
        if ops.post(url, {**good, name: value}).status_code >= 500:
            broken.append(f"{name}={value[:30]!r}")

    assert broken == []
    assert drawn


def good_form(form: Any) -> dict[str, Any]:
    """What a browser would send of an untouched form."""
    values = {name: form[name].value() for name in form.fields}
    filled = {
        name: "x" if value in (None, "") and form.fields[name].required else value
        for name, value in values.items()
    }
    return {name: value for name, value in filled.items() if value not in (None, False)}


@pytest.mark.parametrize(
    "query",
    [
        "term=%00&app_label=monitors&model_name=threshold&field_name=monitor",
        "term=x&app_label=%00&model_name=x&field_name=x",
        "term=x&app_label=monitors&model_name=threshold&field_name=%00",
        "term=x&app_label=monitors&model_name=threshold&field_name=monitor&page=x",
        "term=x&app_label=monitors&model_name=threshold&field_name=monitor&page=%00",
        "",
    ],
)
def test_completion_does_not_fall_over_bad_input(ops: Client, query: str):
    ops.raise_request_exception = False

    assert ops.get(f"/admin/autocomplete/?{query}").status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/admin/r/abc/1/",
        "/admin/r/1/%00/",
        "/admin/r/999999/1/",
        "/admin/r/1/abc/",
        "/admin/nonsense/",
        "/admin/monitors/",
        "/admin/monitors/nonsense/",
        "/admin/search/?s=%00",
        "/admin/%00/",
        "/admin/?q=%00",
    ],
)
def test_other_addresses_do_not_fall_over_bad_input(ops: Client, path: str):
    ops.raise_request_exception = False

    assert ops.get(path).status_code < 500


def test_list_counts_no_further_than_anybody_pages(ops: Client, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 5)
    for _ in range(8):
        make_service()

    changelist = ops.get("/admin/incidents/service/").context["cl"]

    assert changelist.result_count == 5
