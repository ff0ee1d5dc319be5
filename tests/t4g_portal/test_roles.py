"""Roles are made once, follow the table as long as nobody edits them, and no longer."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from t4g_portal import roles
from t4g_portal.roles import AUDITOR, OPS, ROLES, permissions_of, seed_roles

pytestmark = pytest.mark.django_db


def names_of(group_name: str) -> set[str]:
    pairs = Permission.objects.filter(group__name=group_name)
    return {
        f"{app}.{codename}"
        for app, codename in pairs.values_list("content_type__app_label", "codename")
    }


def give_more(monkeypatch: pytest.MonkeyPatch, **lines: tuple[str, str, str, str]):
    """A later version of the table."""
    table = dict(roles._TABLE)
    table.update({name.replace("__", "."): line for name, line in lines.items()})
    monkeypatch.setattr(roles, "_TABLE", table)


def test_every_role_gets_its_group(now):
    assert seed_roles(now=now) == [role.name for role in ROLES]

    for role in ROLES:
        assert names_of(role.name) == permissions_of(role)


def test_second_start_changes_nothing_and_asks_little(
    now, django_assert_max_num_queries
):
    seed_roles(now=now)

    with django_assert_max_num_queries(1):
        assert seed_roles(now=now) == []


def test_new_permission_reaches_untouched_groups(now, monkeypatch):
    seed_roles(now=now)
    give_more(monkeypatch, auth__group=("v", "", "", "v"))

    assert seed_roles(now=now) == ["Ops"]
    assert "auth.view_group" in names_of("Ops")


def test_permission_that_left_the_table_leaves_untouched_groups(now, monkeypatch):
    seed_roles(now=now)
    give_more(monkeypatch, monitors__probe_now=("x", "", "", ""))

    assert seed_roles(now=now) == ["On-call"]
    assert "monitors.probe_now" not in names_of("On-call")


def test_edited_group_is_never_overwritten(now, monkeypatch):
    seed_roles(now=now)
    Group.objects.get(name="Ops").permissions.remove(
        Permission.objects.get(codename="probe_now")
    )
    before = names_of("Ops")
    give_more(monkeypatch, auth__group=("v", "", "", "v"))

    assert seed_roles(now=now) == []
    assert names_of("Ops") == before


@pytest.mark.parametrize("change", ["delete", "rename"])
def test_deleted_or_renamed_group_stays_so(now, change, monkeypatch):
    seed_roles(now=now)
    if change == "delete":
        Group.objects.filter(name="Ops").delete()
    else:
        Group.objects.filter(name="Ops").update(name="Operations")
    give_more(monkeypatch, auth__group=("v", "", "", "v"))

    seed_roles(now=now)

    assert not Group.objects.filter(name="Ops").exists()


def test_own_group_of_that_name_is_left_alone(now):
    Group.objects.create(name="Manager")

    assert "Manager" not in seed_roles(now=now)
    assert names_of("Manager") == set()


def test_command_says_what_was_edited_and_resets_it(now, capsys):
    call_command("roles")
    Group.objects.get(name="Manager").permissions.add(
        Permission.objects.get(codename="probe_now")
    )
    capsys.readouterr()

    call_command("roles")
    said = capsys.readouterr().out
    call_command("roles", reset="Manager")

    assert said == "Manager was edited and left alone: + monitors.probe_now\n"
    assert names_of("Manager") == permissions_of(roles.MANAGER)


def test_every_permission_of_the_table_exists():
    known = {
        f"{app}.{codename}"
        for app, codename in Permission.objects.values_list(
            "content_type__app_label", "codename"
        )
    }

    assert {name for role in ROLES for name in permissions_of(role)} <= known


def test_table_knows_every_model_of_the_admin_and_every_named_permission():
    models = {model._meta.label_lower for model in admin.site._registry}
    named = {
        f"{model._meta.app_label}.{codename}"
        for model in apps.get_models()
        for codename, _words in model._meta.permissions
    }

    missing = (models | named) - roles.subjects().keys()

    assert not missing, f"give these a line in t4g_portal/roles.py: {sorted(missing)}"


def test_auditor_looks_at_every_model_of_the_admin_and_changes_none():
    views = {
        f"{model._meta.app_label}.view_{model._meta.model_name}"
        for model in admin.site._registry
    }

    assert views <= permissions_of(AUDITOR)
    assert all(".view_" in name for name in permissions_of(AUDITOR))


def test_ops_set_up_everything_but_access():
    assert not any(
        name.startswith("auth.") and ".view_" not in name
        for name in permissions_of(OPS)
    )
