"""Who may give whom what: nobody gives away more than they have.

Superusers may do everything. Anybody else with the permission to edit users or groups
sees only what they could do themselves, and edits only accounts that may do no more:
setting somebody's password is becoming them.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Q, QuerySet


def may_manage_user(*, editor: User | AnonymousUser, user: User) -> bool:
    """Whether `editor` may change or delete this account."""
    if editor.is_superuser:
        return True
    return not user.is_superuser and not _beyond(
        editor,
        # What an account that is switched off could do counts too.
        Permission.objects.filter(Q(user=user) | Q(group__user=user)),
    )


def may_manage_group(*, editor: User | AnonymousUser, group: Group) -> bool:
    """Whether `editor` may change or delete this group."""
    return editor.is_superuser or not _beyond(editor, group.permissions.all())


def grantable_permissions(editor: User | AnonymousUser) -> QuerySet[Permission]:
    """Return the permissions that `editor` may give to others."""
    found = Permission.objects.select_related("content_type").order_by(
        "content_type__app_label", "content_type__model", "codename"
    )
    return found if editor.is_superuser else found.filter(pk__in=_own(editor))


def grantable_groups(editor: User | AnonymousUser) -> QuerySet[Group]:
    """Return the groups that `editor` may put others into."""
    groups = Group.objects.order_by("name")
    if editor.is_superuser:
        return groups
    beyond = Permission.objects.exclude(pk__in=_own(editor))
    return groups.exclude(permissions__in=beyond)


def _beyond(editor: User | AnonymousUser, wanted: QuerySet[Permission]) -> bool:
    return wanted.exclude(pk__in=_own(editor)).exists()


def _own(editor: User | AnonymousUser) -> QuerySet[Permission]:
    own = Permission.objects.filter(Q(user=editor.pk) | Q(group__user=editor.pk))
    return own if editor.is_active else own.none()
