"""Who edits users and groups gives away no more than they have."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from t4g_portal.roles import AUDITOR, MANAGER, OPS
from tests.factories import make_user

pytestmark = pytest.mark.django_db

# May run the accounts and what a manager looks at, nothing else.
EDITOR_MAY = [
    *(f"auth.{verb}_user" for verb in ("view", "add", "change", "delete")),
    *(f"auth.{verb}_group" for verb in ("view", "add", "change", "delete")),
]


@pytest.fixture
def editor() -> User:
    return make_user(role=MANAGER, may=EDITOR_MAY, username="editor")


@pytest.fixture
def admin(client: Client, editor: User) -> Client:
    client.force_login(editor)
    return client


def form_of(user: User, **changes: object) -> dict[str, object]:
    form: dict[str, object] = {
        "username": user.username,
        "is_active": "on",
        "groups": [group.pk for group in user.groups.all()],
        "user_permissions": [one.pk for one in user.user_permissions.all()],
    }
    return form | changes


def page(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:auth_{model}_{name}", args=args)


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


def test_nobody_makes_himself_superuser(admin: Client, editor: User):
    url = page("user", "change", editor.pk)

    answer = admin.post(url, form_of(editor, is_superuser="on", last_name="Hopper"))

    editor.refresh_from_db()
    assert answer.status_code == 302
    assert (editor.last_name, editor.is_superuser) == ("Hopper", False)
    assert "is_superuser" not in admin.get(url).content.decode()


@pytest.mark.parametrize(
    ("field", "codename"),
    [
        ("user_permissions", "change_monitor"),
        ("user_permissions", "use_private_targets"),
    ],
)
def test_nobody_gives_a_permission_he_has_not(
    admin: Client, editor: User, field, codename
):
    url = page("user", "change", editor.pk)

    answer = admin.post(url, form_of(editor, **{field: [permission(codename).pk]}))

    assert answer.status_code == 200
    assert "Select a valid choice" in answer.content.decode()
    assert not User.objects.get(pk=editor.pk).has_perm(f"monitors.{codename}")


def test_nobody_puts_himself_into_a_role_that_may_more(admin: Client, editor: User):
    make_user(role=OPS)
    ops = Group.objects.get(name="Ops")

    answer = admin.post(page("user", "change", editor.pk), form_of(editor, groups=ops))

    assert answer.status_code == 200
    assert not editor.groups.filter(name="Ops").exists()


def test_own_role_can_be_given_to_others(admin: Client, editor: User):
    user = make_user()
    manager = Group.objects.get(name="Manager")

    answer = admin.post(
        page("user", "change", user.pk), form_of(user, groups=[manager.pk])
    )

    assert answer.status_code == 302
    assert user.groups.get() == manager


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("name", ["change", "delete"])
def test_account_that_may_more_is_not_touched(admin: Client, name, is_active):
    for stronger in (
        make_user(is_superuser=True, is_active=is_active),
        make_user(role=OPS, is_active=is_active),
        make_user(may=["monitors.use_private_targets"], is_active=is_active),
    ):
        url = page("user", name, stronger.pk)
        answer = admin.post(url, form_of(stronger, username="taken", post="yes"))

        assert answer.status_code == 403
        assert User.objects.filter(username=stronger.username).exists()


def test_password_of_an_account_that_may_more_is_not_set(admin: Client):
    root = make_user(is_superuser=True)
    before = root.password
    url = f"/admin/auth/user/{root.pk}/password/"
    passwords = {"password1": "kd83hdk3jd9", "password2": "kd83hdk3jd9"}

    assert admin.get(url).status_code == 403
    assert admin.post(url, passwords).status_code == 403
    root.refresh_from_db()
    assert root.password == before


def test_bulk_deletion_spares_accounts_that_may_more(admin: Client):
    root = make_user(is_superuser=True)

    admin.post(
        page("user", "changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [str(root.pk)],
            "post": "yes",
        },
    )

    assert User.objects.filter(pk=root.pk).exists()


def test_group_that_may_more_is_not_touched(admin: Client):
    make_user(role=OPS)
    ops = Group.objects.get(name="Ops")

    for name in ("change", "delete"):
        url = page("group", name, ops.pk)
        answer = admin.post(url, {"name": "Taken", "post": "yes"})
        assert answer.status_code == 403

    assert Group.objects.filter(name="Ops").exists()


def test_group_gets_only_what_its_editor_has(admin: Client, editor: User):
    manager = Group.objects.get(name="Manager")
    more = [*manager.permissions.values_list("pk", flat=True)]
    more.append(permission("change_monitor").pk)
    url = page("group", "change", manager.pk)

    answer = admin.post(url, {"name": "Manager", "permissions": more})

    assert answer.status_code == 200
    assert not User.objects.get(pk=editor.pk).has_perm("monitors.change_monitor")


def test_superuser_may_make_superusers(client: Client):
    client.force_login(make_user(is_superuser=True))
    user = make_user()

    client.post(page("user", "change", user.pk), form_of(user, is_superuser="on"))

    user.refresh_from_db()
    assert user.is_superuser


def test_new_user_has_role_and_entry_in_one_step(client: Client):
    client.force_login(make_user(is_superuser=True))
    make_user(role=AUDITOR)
    auditor = Group.objects.get(name="Auditor")

    answer = client.post(
        page("user", "add"),
        {
            "username": "ada",
            "usable_password": "true",
            "password1": "kd83hdk3jd9w",
            "password2": "kd83hdk3jd9w",
            "groups": [auditor.pk],
        },
    )

    ada = User.objects.get(username="ada")
    assert answer.status_code == 302
    assert (ada.is_staff, list(ada.groups.all())) == (True, [auditor])


def test_old_account_may_enter_once_it_was_saved(client: Client):
    client.force_login(make_user(is_superuser=True))
    user = make_user(is_staff=False)

    client.post(page("user", "change", user.pk), form_of(user))

    user.refresh_from_db()
    assert user.is_staff


@pytest.mark.parametrize("model", ["user", "group"])
def test_ops_see_neither_users_nor_groups(client: Client, model):
    client.force_login(make_user(role=OPS))

    assert client.get(page(model, "changelist")).status_code == 403
    assert client.post(page(model, "add"), {"name": "x"}).status_code == 403


def test_auditor_sees_users_and_groups_and_edits_none(client: Client):
    auditor = make_user(role=AUDITOR)
    client.force_login(auditor)
    url = page("user", "change", auditor.pk)

    text = client.get(url).content.decode()

    assert auditor.password.split("$")[-1] not in text
    assert client.post(url, form_of(auditor)).status_code == 403
