"""The history of changes: who, when, from what to what, and no secret in it."""

from __future__ import annotations

import pytest
from auditlog.models import LogEntry
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client

from incidents.models import PriorityRule, Service, Team
from monitors.models import Assertion, MaintenanceWindow, Monitor
from notifications.models import Address, Channel
from t4g_portal.configuration.importing import import_configuration
from t4g_portal.configuration.seeding import seed
from t4g_portal.lib.admin import LookOnlyAdmin
from t4g_portal.lib.history import Via, acting, is_tracked, tracked_models
from t4g_portal.lib.history.reading import Entry, entries_of, read
from t4g_portal.lib.history.tracking import tracked
from tests.factories import (
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
    only_step,
)

pytestmark = pytest.mark.django_db


def history(row) -> list[Entry]:
    return read(entries_of(row))


def newest_lines(row) -> list[tuple[str, str, str]]:
    return [(line.label, line.old, line.new) for line in history(row)[0].lines]


# --- What has a history -----------------------------------------------------------------


def test_all_that_people_edit_has_a_history_and_nothing_of_the_engine():
    edited = {
        model
        for model, model_admin in admin.site._registry.items()
        if not isinstance(model_admin, LookOnlyAdmin)
    }
    looked_at = set(admin.site._registry) - edited

    assert edited <= set(tracked_models())
    assert not looked_at & set(tracked_models())


def test_engine_writes_no_table_that_has_a_history():
    written = {
        name
        for name in (
            "monitors.MonitorState",
            "monitors.ProbeSlot",
            "monitors.CheckResult",
            "monitors.StatusInterval",
            "monitors.ThresholdState",
            "monitors.Series",
            "incidents.Incident",
            "incidents.Alert",
            "incidents.IncidentEvent",
            "notifications.Notification",
            "notifications.Attempt",
            "notifications.ChannelState",
            "cellar.LoopCycle",
        )
        if is_tracked(apps.get_model(name))
    }

    assert written == set()


def test_encrypted_fields_are_secrets_without_being_named():
    for model in (Monitor, Channel):
        assert "secret" in [field.name for field in tracked(model).secrets]
        assert "secret" not in tracked(model).columns


# --- What an entry says -----------------------------------------------------------------


def test_change_says_what_became_what():
    monitor = make_monitor(interval_s=60, tags=["prod"])
    monitor.interval_s, monitor.tags, monitor.is_enabled = 30, ["prod", "web"], False

    monitor.save()

    assert sorted(newest_lines(monitor)) == [
        ("Enabled", "yes", "no"),
        ("Interval (s)", "60", "30"),
        ("Tags", "prod", "prod, web"),
    ]


def test_saving_what_is_the_same_leaves_no_entry():
    monitor = make_monitor()
    count = LogEntry.objects.count()

    Monitor.objects.get(pk=monitor.pk).save()
    # A form's texts are what the database makes of them.
    monitor.interval_s = "60"
    monitor.save(update_fields=["interval_s"])

    assert LogEntry.objects.count() == count


def test_related_row_is_named_as_people_know_it():
    monitor = make_monitor(service=make_service(name="Frontend"))
    monitor.service = make_service(name="Backend")

    monitor.save()

    assert newest_lines(monitor) == [("Service", "Frontend", "Backend")]


def test_choice_is_said_in_words():
    rule = make_priority_rules()["p1"]
    PriorityRule.objects.filter(pk=rule.pk).delete()
    channel = make_channel(kind="email")
    channel.kind = "webhook"

    channel.save()

    assert newest_lines(channel) == [("Kind", "E-mail", "Signed webhook")]


def test_many_are_added_and_removed_by_name():
    team = Team.objects.create(name="Backend")
    ana, ben = make_contact(name="Ana"), make_contact(name="Ben")

    with acting(via=Via.ADMIN):
        team.members.set([ana])
    with acting(via=Via.ADMIN):
        team.members.set([ben])
    with acting(via=Via.ADMIN):
        team.members.clear()

    assert [sorted(str(line) for line in entry.lines) for entry in history(team)][
        :3
    ] == [
        ["Members: removed: Ben → –"],
        ["Members: removed: Ana → –", "Members: – → added: Ben"],
        ["Members: – → added: Ana"],
    ]


def test_steps_stand_in_the_history_of_their_policy():
    step = only_step(make_priority_rules()["p1"])

    step.channels.set([make_channel(name="Ops")])

    assert str(history(step.policy)[0].lines[0]).endswith("channels: – → added: Ops")


def test_many_from_the_other_side_stand_in_the_owners_history(now):
    monitor = make_monitor(name="Shop")
    window = MaintenanceWindow.objects.create(name="Sunday", starts_at=now)

    monitor.windows.add(window)

    assert newest_lines(window) == [("Monitors", "–", "added: Shop")]


def test_part_stands_in_the_history_of_its_whole():
    monitor = make_monitor()
    with acting(via=Via.ADMIN):
        row = Assertion.objects.create(
            monitor=monitor, subject="status", operator="equals", expected="200"
        )
    row.expected = "204"
    with acting(via=Via.ADMIN):
        row.save()
    with acting(via=Via.ADMIN):
        row.delete()

    assert [[str(line) for line in entry.lines] for entry in history(monitor)][:3] == [
        ["Assertion “status equals 204”: removed → –"],
        ["Assertion “status equals 204”, expected: 200 → 204"],
        ["Assertion “status equals 200”: – → added"],
    ]


def test_one_act_is_one_entry():
    monitor = make_monitor()

    with acting(via=Via.ADMIN):
        monitor.interval_s = 120
        monitor.save()
        for status in ("200", "204"):
            Assertion.objects.create(
                monitor=monitor, subject="status", operator="equals", expected=status
            )

    assert len(history(monitor)[0].lines) == 3


def test_deleted_row_leaves_its_last_values_and_its_parts_no_noise():
    contact = make_contact(name="Nina", language="fr")
    Address.objects.create(contact=contact, kind="email", value="nina@example.org")
    key = contact.pk
    count = LogEntry.objects.count()

    contact.delete()

    assert LogEntry.objects.count() == count + 1
    entry = LogEntry.objects.filter(object_pk=str(key)).latest("pk")
    assert entry.action == LogEntry.Action.DELETE
    assert entry.changes["language"] == ["fr", None]


# --- Secrets ----------------------------------------------------------------------------


def test_secret_is_said_to_be_set_or_cleared_and_never_shown():
    channel = make_channel(kind="slack", address="", secret="https://hooks/CANARY1")
    for secret in ("https://hooks/CANARY2", ""):
        row = Channel.objects.defer("secret").get(pk=channel.pk)
        row.secret = secret
        with acting(via=Via.ADMIN):
            row.save()

    assert [[str(line) for line in entry.lines] for entry in history(channel)][:2] == [
        ["Secret: set → not set"],
        ["Secret: set → set anew"],
    ]
    assert "Secret: not set → set" in [str(line) for line in history(channel)[2].lines]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(auditlog_logentry::text, ' ') FROM auditlog_logentry"
        )
        assert "CANARY" not in cursor.fetchone()[0]


def test_secret_that_no_longer_decrypts_stops_no_history():
    monitor = make_monitor(secret="sesame")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitors_monitor SET secret = 'v1:gone:AAAA'")

    row = Monitor.objects.defer("secret").get(pk=monitor.pk)
    row.interval_s = 90
    row.save()

    assert newest_lines(monitor) == [("Interval (s)", "60", "90")]


def test_password_and_ping_key_are_secrets_and_a_login_is_no_change(client: Client):
    user = make_user()
    count = LogEntry.objects.count()
    client.force_login(user)
    assert LogEntry.objects.count() == count

    user.set_password("another long phrase")
    user.save()

    assert newest_lines(user) == [("Password", "set", "set anew")]
    assert user.password not in str(LogEntry.objects.latest("pk").changes)
    monitor = make_monitor()
    created = LogEntry.objects.latest("pk")
    assert monitor.ping_key not in str(created.changes)


# --- Who --------------------------------------------------------------------------------


FORM = {
    "name": "API",
    "slug": "api",
    "time_zone": "Europe/Paris",
    "policies-TOTAL_FORMS": "0",
    "policies-INITIAL_FORMS": "0",
}


def test_person_of_a_request_is_named_and_stays_so_when_deleted(client: Client):
    nina = make_user(username="nina", is_superuser=True)
    client.force_login(nina)
    answer = client.post(
        "/admin/incidents/service/add/",
        {**FORM, "position": "1"},
    )
    assert answer.status_code == 302
    service = Service.objects.get()

    assert [(one.who, one.via, one.did) for one in history(service)] == [
        ("nina", "the admin", "created")
    ]
    User.objects.filter(pk=nina.pk).delete()
    assert history(service)[0].who == "nina"


def test_import_is_attributed_to_its_file():
    data = b"services:\n  - name: API\n    slug: api\n"

    import_configuration(data=data, environ={}, source="portal.yaml")

    entry = history(Service.objects.get())[0]
    assert (entry.who, entry.via) == (
        "portal.yaml",
        "a configuration file: portal.yaml",
    )


def test_seed_is_attributed_to_the_guide(now):
    seed(now=now)

    whos = {entry.who for row in Service.objects.all() for entry in history(row)}
    assert whos == {"the guide's configuration, at a start"}


def test_dry_run_leaves_no_entry():
    data = b"services:\n  - name: API\n    slug: api\n"

    import_configuration(data=data, environ={}, is_dry_run=True)

    assert not LogEntry.objects.exists()


def test_key_of_the_api_is_named_where_no_person_is():
    with acting(via=Via.API, by="deploy key"):
        service = make_service()

    entry = history(service)[0]
    assert (entry.who, entry.via) == ("deploy key", "the API: deploy key")


# --- The pages --------------------------------------------------------------------------


def test_history_page_tells_it_in_order(client: Client):
    client.force_login(make_user(is_superuser=True, first_name="Nina", last_name="Roy"))
    service = make_service(name="API")
    form = {**FORM, "position": "7"}
    client.post(f"/admin/incidents/service/{service.pk}/change/", form)

    page = client.get(f"/admin/incidents/service/{service.pk}/history/")

    text = page.content.decode()
    assert "Nina Roy" in text
    assert text.index("changed") < text.index("created")
    assert "Position" in text


def test_history_of_a_table_that_the_engine_owns_is_not_offered(client: Client):
    client.force_login(make_user(is_superuser=True))
    user = make_user()
    entry = LogEntry.objects.latest("pk")

    page = client.get(f"/admin/auditlog/logentry/{entry.pk}/change/").content.decode()

    assert user.username in page
    assert "/history/" not in page
    assert (
        client.get(f"/admin/auditlog/logentry/{entry.pk}/history/").status_code == 404
    )


def test_list_of_changes_costs_the_same_for_many(
    client: Client, django_assert_num_queries
):
    client.force_login(make_user(is_superuser=True))
    for _ in range(30):
        make_service()
    client.get("/admin/auditlog/logentry/")

    with django_assert_num_queries(5):
        page = client.get("/admin/auditlog/logentry/")

    assert page.status_code == 200
    for table in ("incidents.service", "nonsense", "a.b.c"):
        assert client.get(f"/admin/auditlog/logentry/?table={table}").status_code == 200


def test_auditor_reads_the_list_and_others_do_not(client: Client):
    user = make_user()
    client.force_login(user)
    assert client.get("/admin/auditlog/logentry/").status_code == 403

    user.user_permissions.set(Permission.objects.filter(codename="view_logentry"))

    assert client.get("/admin/auditlog/logentry/").status_code == 200
    assert Group in tracked_models()
