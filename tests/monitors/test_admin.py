"""The admin of monitors: forms that ask for what a kind needs, and say what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from monitors.models import (
    Assertion,
    ControlTarget,
    MaintenanceWindow,
    Monitor,
    StatusInterval,
    Threshold,
)
from monitors.probes import registry
from tests.factories import make_monitor, make_service, make_user
from tests.history import make_history

pytestmark = pytest.mark.django_db

ADD = "/admin/monitors/monitor/add/"


@pytest.fixture(autouse=True)
def _at_now(now):
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def ops(client: Client) -> Client:
    """Somebody who may change everything."""
    client.force_login(make_user(is_superuser=True))
    return client


def make_editor(*permissions: str) -> User:
    """Somebody who may edit monitors and what else is given, and nothing more."""
    user = make_user()
    names = ["add_monitor", "change_monitor", "view_monitor", "view_service"]
    names += ["add_assertion", "change_assertion", "delete_assertion", "view_assertion"]
    user.user_permissions.set(
        Permission.objects.filter(codename__in=[*names, *permissions])
    )
    return user


def http_form(**values: Any) -> dict[str, Any]:
    """What the browser sends for an HTTP monitor."""
    form: dict[str, Any] = {
        "name": "Home page",
        "target": "https://t4g.example/",
        "tags": "",
        "runbook_url": "",
        "is_enabled": "on",
        "interval_s": "60",
        "timeout_s": "10",
        "retry_interval_s": "20",
        "failures_to_down": "3",
        "successes_to_up": "2",
        "new_secret": "",
        "option_method": "GET",
        "option_expected_statuses": "200-299",
        "option_headers": "",
        "option_body": "",
        "option_auth": "none",
        "option_username": "",
        "option_auth_header": "X-Api-Key",
        "option_follow_redirects": "on",
        "option_max_redirects": "5",
        "option_verify_tls": "on",
        "assertions-TOTAL_FORMS": "0",
        "assertions-INITIAL_FORMS": "0",
    }
    form |= values
    if "service" not in form:
        form["service"] = make_service().pk
    return {name: value for name, value in form.items() if value is not None}


def change(monitor: Monitor) -> str:
    return reverse("admin:monitors_monitor_change", args=[monitor.pk])


def errors_of(answer: Any) -> dict[str, list[str]]:
    """The form's errors by field; the form must have come back."""
    assert answer.status_code == 200, "it was saved"
    errors: dict[str, list[str]] = dict(answer.context["adminform"].form.errors)
    for formset in answer.context["inline_admin_formsets"]:
        for form in formset.formset.forms:
            errors |= form.errors
    return errors


# --- Adding -----------------------------------------------------------------------


def test_adding_begins_with_the_choice_of_a_kind(ops: Client):
    page = ops.get(ADD).content.decode()

    for kind in registry.kinds():
        assert f'href="?kind={kind}"' in page
    assert "<input" not in page[page.index("ops-kinds") : page.index("ops-kinds") + 900]


def test_unknown_kind_leads_back_to_the_choice(ops: Client):
    assert "ops-kinds" in ops.get(f"{ADD}?kind=telnet").content.decode()


def test_choice_is_not_offered_to_those_who_may_not_add(client: Client):
    client.force_login(make_user())

    assert client.get(ADD).status_code == 403


@pytest.mark.parametrize("kind", registry.kinds())
def test_form_asks_for_the_options_of_its_kind_alone(ops: Client, kind: str):
    form = ops.get(f"{ADD}?kind={kind}").context["adminform"].form

    asked = {name for name in form.fields if name.startswith("option_")}
    assert asked == {
        f"option_{option.name}" for option in registry.describe_options(kind)
    }


def test_heartbeat_is_asked_for_nothing_that_only_a_probe_needs(ops: Client):
    answer = ops.get(f"{ADD}?kind=heartbeat")

    fields = answer.context["adminform"].form.fields
    for name in ("target", "new_secret", "timeout_s", "may_use_private_targets"):
        assert name not in fields
    assert answer.context["inline_admin_formsets"] == []


def test_saved_monitor_holds_what_differs_from_the_defaults(ops: Client):
    answer = ops.post(
        f"{ADD}?kind=http",
        http_form(
            tags="prod, web,prod ,",
            option_method="POST",
            option_body="a\r\nb",
            option_verify_tls=None,
        ),
    )

    assert answer.status_code == 302
    monitor = Monitor.objects.get()
    assert monitor.kind == "http"
    assert monitor.tags == ["prod", "web"]
    assert monitor.options == {"method": "POST", "body": "a\nb", "verify_tls": False}
    registry.parse_options("http", monitor.options)


def test_heartbeat_can_be_added(ops: Client):
    answer = ops.post(
        f"{ADD}?kind=heartbeat",
        {
            "name": "Backup",
            "service": make_service().pk,
            "tags": "",
            "is_enabled": "on",
            "option_interval_s": "3600",
            "option_grace_s": "600",
            "option_cron": "30 2 * * *",
            "option_zone": "Europe/Paris",
        },
    )

    assert answer.status_code == 302, errors_of(answer)
    assert Monitor.objects.get().options == {
        "grace_s": 600,
        "cron": "30 2 * * *",
        "zone": "Europe/Paris",
    }


# --- Errors name the field and the reason -------------------------------------------


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"target": ""}, "target", "required"),
        ({"target": "ftp://t4g.example"}, "target", ""),
        ({"target": "https://user:pass@t4g.example/"}, "target", ""),
        ({"option_expected_statuses": "2xx"}, "option_expected_statuses", "ranges"),
        ({"option_expected_statuses": "99"}, "option_expected_statuses", "100 to 599"),
        ({"option_headers": "no colon"}, "option_headers", "Name: value"),
        ({"option_max_redirects": "999"}, "option_max_redirects", "20"),
        ({"option_body": "x"}, "option_body", "no body"),
        ({"option_auth": "basic"}, "option_username", "name"),
        ({"interval_s": "0"}, "interval_s", "1"),
        ({"timeout_s": "121"}, "timeout_s", "120"),
        ({"timeout_s": "nan"}, "timeout_s", ""),
        ({"failures_to_down": "0"}, "failures_to_down", "1"),
        ({"interval_s": "10"}, "retry_interval_s", "no more than the interval (10 s)"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_wrong_value_is_blamed_on_its_field(ops: Client, values, field, reason):
    answer = ops.post(f"{ADD}?kind=http", http_form(**values))

    errors = errors_of(answer)
    assert list(errors) == [field]
    assert reason in errors[field][0]
    assert not Monitor.objects.exists()


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"subject": "status", "operator": "contains", "expected": "2"}, "operator"),
        ({"subject": "status", "operator": "equals", "expected": "ok"}, "expected"),
        ({"subject": "json", "operator": "equals", "argument": "a..b"}, "argument"),
        ({"subject": "body", "operator": "matches", "expected": "("}, "expected"),
        ({"subject": "answer", "operator": "equals", "expected": "x"}, "subject"),
    ],
)
def test_wrong_assertion_is_blamed_on_its_part(ops: Client, row, field):
    form = http_form(**{"assertions-TOTAL_FORMS": "1"})
    for name in ("subject", "operator", "argument", "expected"):
        form[f"assertions-0-{name}"] = row.get(name, "")
    form["assertions-0-position"] = "0"

    answer = ops.post(f"{ADD}?kind=http", form)

    assert list(errors_of(answer)) == [field]


def test_assertions_are_saved_with_their_monitor(ops: Client):
    form = http_form(**{"assertions-TOTAL_FORMS": "2"})
    for number, status in enumerate(("204", "200")):
        form |= {
            f"assertions-{number}-position": str(number),
            f"assertions-{number}-subject": "status",
            f"assertions-{number}-operator": "equals",
            f"assertions-{number}-argument": "",
            f"assertions-{number}-expected": status,
        }

    answer = ops.post(f"{ADD}?kind=http", form)

    assert answer.status_code == 302
    rows = Assertion.objects.order_by("position")
    assert [(row.subject, row.expected) for row in rows] == [
        ("status", "204"),
        ("status", "200"),
    ]


# --- Changing -----------------------------------------------------------------------


def test_form_shows_what_is_stored(ops: Client):
    monitor = make_monitor(options={"method": "HEAD"}, tags=["prod"])

    form = ops.get(change(monitor)).context["adminform"].form

    assert form["option_method"].value() == "HEAD"
    assert form["option_expected_statuses"].value() == "200-299"


def test_misconfigured_monitor_can_be_opened_and_repaired(ops: Client):
    monitor = make_monitor(options={"metod": "HEAD", "max_redirects": "many"})

    answer = ops.get(change(monitor))
    saved = ops.post(change(monitor), http_form(service=monitor.service_id))

    assert answer.status_code == 200
    assert saved.status_code == 302
    monitor.refresh_from_db()
    assert monitor.options == {}


def test_monitor_of_a_kind_that_is_gone_can_be_opened(ops: Client):
    monitor = make_monitor()
    Monitor.objects.filter(pk=monitor.pk).update(kind="gopher")

    assert ops.get(change(monitor)).status_code == 200


def test_secret_goes_in_and_never_comes_out(ops: Client):
    monitor = make_monitor(target="https://t4g.example/", secret="")
    same = {"service": monitor.service_id, "name": monitor.name}

    ops.post(change(monitor), http_form(**same, new_secret="sesame"))
    monitor.refresh_from_db()
    assert monitor.secret == "sesame"

    page = ops.get(change(monitor)).content.decode()
    assert "sesame" not in page
    assert "Set. Leave empty to keep it." in page

    ops.post(change(monitor), http_form(**same))
    monitor.refresh_from_db()
    assert monitor.secret == "sesame"

    ops.post(change(monitor), http_form(**same, clear_secret="on"))
    monitor.refresh_from_db()
    assert monitor.secret == ""


def test_secret_is_not_entered_and_cleared_at_once(ops: Client):
    monitor = make_monitor(secret="old", target="https://t4g.example/")

    answer = ops.post(
        change(monitor),
        http_form(service=monitor.service_id, new_secret="new", clear_secret="on"),
    )

    assert list(errors_of(answer)) == ["clear_secret"]


def test_stored_secret_is_not_sent_to_a_new_target_unseen(ops: Client):
    monitor = make_monitor(secret="sesame", target="https://t4g.example/a")
    same = {"service": monitor.service_id}

    moved = http_form(**same, target="https://evil.example/a")
    answer = ops.post(change(monitor), moved)
    other_page = ops.post(
        change(monitor), http_form(**same, target="https://t4g.example/b")
    )
    with_secret = ops.post(change(monitor), {**moved, "new_secret": "other"})

    assert list(errors_of(answer)) == ["new_secret"]
    assert other_page.status_code == 302
    assert with_secret.status_code == 302
    monitor.refresh_from_db()
    assert (monitor.target, monitor.secret) == ("https://evil.example/a", "other")


def test_secret_that_no_longer_decrypts_stops_neither_list_nor_form(ops: Client):
    monitor = make_monitor(secret="sesame", target="https://t4g.example/")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitors_monitor SET secret = 'v1:gone:AAAA'")

    assert ops.get("/admin/monitors/monitor/").status_code == 200
    assert ops.get("/monitors/").status_code == 200
    assert ops.get(f"/monitors/{monitor.pk}/").status_code == 200
    assert ops.get("/").status_code == 200
    assert ops.get(change(monitor)).status_code == 200
    saved = ops.post(
        change(monitor), http_form(service=monitor.service_id, new_secret="anew")
    )
    assert saved.status_code == 302
    monitor = Monitor.objects.get()
    assert monitor.secret == "anew"


def test_secret_that_no_longer_decrypts_stops_nothing_that_names_its_monitor(
    ops: Client, now
):
    made = make_history(now=now)
    monitor = made.monitors["Backend health"]
    window = MaintenanceWindow.objects.get()
    window.monitors.add(monitor)
    threshold = Threshold.objects.get(monitor=monitor)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitors_monitor SET secret = 'v1:gone:AAAA'")

    for model in ("statusinterval", "resultdetail", "thresholdstate", "heartbeatping"):
        assert ops.get(f"/admin/monitors/{model}/").status_code == 200
    listed = ops.get("/admin/monitors/maintenancewindow/")
    opened = ops.get(f"/admin/monitors/maintenancewindow/{window.pk}/change/")
    saved = ops.post(
        f"/admin/monitors/maintenancewindow/{window.pk}/change/",
        window_form(monitors=[monitor.pk]),
    )
    moved = ops.post(
        f"/admin/monitors/threshold/{threshold.pk}/change/",
        threshold_form(name="Backend slow", monitor=monitor.pk),
    )

    assert (listed.status_code, opened.status_code) == (200, 200)
    assert (saved.status_code, moved.status_code) == (302, 302)


# --- Probe now ----------------------------------------------------------------------


def test_form_leads_to_probing_at_once_but_not_for_a_heartbeat(ops: Client):
    monitor, job = make_monitor(), make_monitor(kind="heartbeat", target="")

    assert f"{change(monitor)[:-7]}probe/" in ops.get(change(monitor)).content.decode()
    assert "/probe/" not in ops.get(change(job)).content.decode()
    answer = ops.get(f"{change(monitor)[:-7]}probe/")
    assert answer.headers["Location"] == f"/monitors/{monitor.pk}/probe/"
    assert ops.get("/admin/monitors/monitor/abc/probe/").status_code == 404


# --- Private networks ---------------------------------------------------------------


def test_private_networks_need_their_own_permission(client: Client):
    client.force_login(make_editor())

    client.post(f"{ADD}?kind=http", http_form(may_use_private_targets="on"))

    assert Monitor.objects.get().may_use_private_targets is False


def test_private_networks_are_ticked_with_the_permission(client: Client):
    client.force_login(make_editor("use_private_targets"))

    client.post(f"{ADD}?kind=http", http_form(may_use_private_targets="on"))

    assert Monitor.objects.get().may_use_private_targets is True


def test_private_monitor_is_not_pointed_elsewhere_without_the_permission(
    client: Client,
):
    monitor = make_monitor(target="http://10.0.0.5/", may_use_private_targets=True)
    same = {"service": monitor.service_id}
    client.force_login(make_editor())

    answer = client.post(
        change(monitor), http_form(**same, target="http://10.0.0.6/admin")
    )
    same_host = client.post(
        change(monitor), http_form(**same, target="http://10.0.0.5/health")
    )

    assert list(errors_of(answer)) == ["target"]
    assert same_host.status_code == 302
    monitor.refresh_from_db()
    assert monitor.may_use_private_targets is True


# --- Lists and the rest ---------------------------------------------------------------


def test_list_shows_the_state_and_reads_no_secret(
    ops: Client, now, django_assert_num_queries
):
    make_history(now=now)

    with django_assert_num_queries(5):
        page = ops.get("/admin/monitors/monitor/").content.decode()

    assert 'class="ops-status is-down"' in page
    assert page.count('class="ops-status') == 12


def test_monitors_are_paused_and_resumed_together(ops: Client):
    monitors = [make_monitor(), make_monitor()]
    chosen = {"_selected_action": [monitor.pk for monitor in monitors]}

    ops.post("/admin/monitors/monitor/", {"action": "pause", **chosen})
    paused = Monitor.objects.filter(is_enabled=False).count()
    ops.post("/admin/monitors/monitor/", {"action": "resume", **chosen})

    assert paused == 2
    assert Monitor.objects.filter(is_enabled=True).count() == 2


def test_admin_page_leads_to_the_page_of_the_monitor(ops: Client):
    monitor = make_monitor()

    page = ops.get(change(monitor)).content.decode()

    assert f'href="/monitors/{monitor.pk}/"' in page


def threshold_form(**values: Any) -> dict[str, Any]:
    form = {
        "name": "Slow",
        "is_enabled": "on",
        "measure": "latency",
        "aggregate": "last",
        "window_s": "0",
        "min_sample_count": "1",
        "monitor": "",
        "service": "",
        "tag": "",
        "series_name": "",
        "series_labels": "{}",
        "comparison": "above",
        "critical_bound": "2000",
        "critical_priority": "p1",
        "warning_bound": "500",
        "warning_priority": "p2",
        "for_count": "3",
        "for_s": "0",
        "clear_bound": "",
    }
    return form | values


def test_threshold_stands_beside_the_sentence_that_it_means(ops: Client):
    saved = ops.post("/admin/monitors/threshold/add/", threshold_form())
    threshold = Threshold.objects.get()

    pages = [
        ops.get("/admin/monitors/threshold/").content.decode(),
        ops.get(f"/admin/monitors/threshold/{threshold.pk}/change/").content.decode(),
    ]

    assert saved.status_code == 302
    for page in pages:
        shown = " ".join(page.split())
        assert "Critical (P1) when the latency of any monitor is above 2 s" in shown


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"critical_bound": "", "warning_bound": ""}, "critical_bound"),
        ({"warning_bound": "3000"}, "warning_bound"),
        ({"comparison": "below"}, "warning_bound"),
        ({"clear_bound": "600"}, "clear_bound"),
        ({"series_name": "cpu"}, "series_name"),
        ({"for_count": "0"}, "for_count"),
        ({"measure": "series", "service": "1"}, "series_name"),
        ({"measure": "series", "series_name": "cpu"}, "service"),
        (
            {
                "measure": "series",
                "series_name": "kpi:users",
                "aggregate": "avg",
                "window_s": "3600",
            },
            "window_s",
        ),
        (
            {
                "measure": "series",
                "series_name": "cpu",
                "service": "1",
                "series_labels": "[]",
            },
            "series_labels",
        ),
        (
            {"measure": "no_data", "series_name": "cpu", "service": "1", "tag": "x"},
            "tag",
        ),
    ],
)
def test_threshold_that_contradicts_itself_is_blamed_on_its_field(
    ops: Client, values, field
):
    if values.get("service"):
        values = {**values, "service": make_service().pk}

    answer = ops.post("/admin/monitors/threshold/add/", threshold_form(**values))

    assert field in errors_of(answer)
    assert not Threshold.objects.exists()


def window_form(**values: Any) -> dict[str, Any]:
    form = {
        "name": "Sunday upgrade",
        "is_enabled": "on",
        "starts_at_0": "2026-03-08",
        "starts_at_1": "02:00",
        "duration_s": "7200",
        "recurrence": "FREQ=WEEKLY;BYDAY=SU",
        "time_zone": "Europe/Paris",
        "tags": "prod",
        "note": "",
    }
    return form | values


def test_window_shows_when_it_comes_next(ops: Client):
    saved = ops.post("/admin/monitors/maintenancewindow/add/", window_form())
    window = MaintenanceWindow.objects.get()

    page = ops.get(f"/admin/monitors/maintenancewindow/{window.pk}/change/")
    listed = ops.get("/admin/monitors/maintenancewindow/")

    assert saved.status_code == 302
    shown = re.findall(r">(\d+ Mar, 02:00 – 04:00)<", page.content.decode())
    assert shown == [f"{day} Mar, 02:00 – 04:00" for day in (8, 15, 22)]
    assert "8 Mar, 02:00" in listed.content.decode()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"recurrence": "every sunday"}, "recurrence"),
        ({"recurrence": "FREQ=SECONDLY"}, "recurrence"),
        ({"time_zone": "Paris"}, "time_zone"),
        ({"duration_s": "59"}, "duration_s"),
        ({"tags": " , "}, "monitors"),
    ],
)
def test_window_that_makes_no_sense_is_blamed_on_its_field(ops: Client, values, field):
    answer = ops.post("/admin/monitors/maintenancewindow/add/", window_form(**values))

    assert list(errors_of(answer)) == [field]
    assert not MaintenanceWindow.objects.exists()


def test_control_targets_can_be_edited(ops: Client):
    answer = ops.post(
        "/admin/monitors/controltarget/add/",
        {"host": "one.example", "port": "443", "is_enabled": "on"},
    )

    assert answer.status_code == 302
    assert str(ControlTarget.objects.get()) == "one.example:443"


@pytest.mark.parametrize(
    "model",
    [
        "series",
        "statusinterval",
        "resultdetail",
        "thresholdstate",
        "locationstate",
        "heartbeatping",
    ],
)
def test_tables_of_the_engine_can_only_be_looked_at(ops: Client, now, model: str):
    make_history(now=now)

    listed = ops.get(f"/admin/monitors/{model}/")
    add = ops.get(f"/admin/monitors/{model}/add/")

    assert listed.status_code == 200
    assert add.status_code == 403
    assert "delete_selected" not in listed.content.decode()


def test_row_of_the_ledger_can_be_opened_but_not_saved(ops: Client, now):
    make_history(now=now)
    interval = StatusInterval.objects.filter(status="down").latest("started_at")
    address = f"/admin/monitors/statusinterval/{interval.pk}/change/"

    shown = ops.get(address)
    saved = ops.post(address, {"status": "up"})

    assert shown.status_code == 200
    assert saved.status_code == 403
    interval.refresh_from_db()
    assert interval.status == "down"


def test_users_and_groups_wear_the_clothes_of_the_shell(ops: Client):
    user = make_user(username="nina")

    changed = ops.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    added = ops.post(
        "/admin/auth/user/add/",
        {
            "username": "new",
            "password1": "a long enough phrase",
            "password2": "a long enough phrase",
            "usable_password": "true",
        },
    )

    assert "nina" in changed
    assert added.status_code == 302
    assert User.objects.get(username="new").check_password("a long enough phrase")
