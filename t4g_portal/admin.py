"""Access, the history of changes and the portal's own loops."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from t4g_portal import audit_admin as audit_admin
from t4g_portal import key_admin as key_admin
from t4g_portal.accounts import (
    grantable_groups,
    grantable_permissions,
    may_manage_group,
    may_manage_user,
)
from t4g_portal.lib.admin import LookOnlyAdmin, PortalAdmin
from t4g_portal.lib.history import reading, tracked_models
from t4g_portal.lib.history.tracking import tracked
from t4g_portal.lib.models import LoopCycle
from t4g_portal.lib.templatetags.portal import ago, clock, duration
from t4g_portal.lib.wording import NOTHING

admin.site.index_title = _("Administration")
admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.unregister(LogEntry)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, PortalAdmin):  # type: ignore[misc,type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "full_name", "email", "roles", "is_active"]
    list_filter = ["is_active", "is_superuser", "groups"]
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "usable_password", "password1", "password2"),
            },
        ),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Role"), {"fields": ("groups",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users.prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        # Whoever has an account may enter; what they find there depends on the role.
        access = ["is_active", "is_superuser", "groups", "user_permissions"]
        if not request.user.is_superuser:
            access.remove("is_superuser")
        return (
            (None, {"fields": ("username", "password")}),
            (_("Person"), {"fields": ("first_name", "last_name", "email")}),
            (_("Role"), {"fields": access}),
            (_("Dates"), {"fields": ("last_login", "date_joined")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return ("last_login", "date_joined")

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = grantable_groups(request.user)
        elif db_field.name == "user_permissions":
            kwargs["queryset"] = grantable_permissions(request.user)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or may_manage_user(editor=request.user, user=obj)
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return super().has_delete_permission(request, obj) and (
            obj is None or may_manage_user(editor=request.user, user=obj)
        )

    def save_model(
        self, request: HttpRequest, obj: User, form: Any, change: bool
    ) -> None:
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    @admin.display(description=_("role"))
    def roles(self, user: User) -> str:
        if user.is_superuser:
            return str(_("Superuser"))
        return ", ".join(group.name for group in user.groups.all()) or "–"

    @admin.display(description=_("name"), ordering="last_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, PortalAdmin):  # type: ignore[misc]
    """Groups; the roles are among them."""

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "permissions":
            kwargs["queryset"] = grantable_permissions(request.user)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return super().has_change_permission(request, obj) and (
            obj is None or may_manage_group(editor=request.user, group=obj)
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return super().has_delete_permission(request, obj) and (
            obj is None or may_manage_group(editor=request.user, group=obj)
        )


@admin.register(LoopCycle)
class LoopCycleAdmin(LookOnlyAdmin):
    """When each loop last came round; the engine writes it."""

    list_display = ["name", "came_round", "bound", "last_error", "failed"]
    search_fields = ["name"]
    ordering = ["name"]

    @admin.display(description=_("last cycle"), ordering="completed_at")
    def came_round(self, loop: LoopCycle) -> str:
        return ago(loop.completed_at)

    @admin.display(description=_("late after"), ordering="bound_s")
    def bound(self, loop: LoopCycle) -> str:
        return duration(loop.bound_s)

    @admin.display(description=_("last failure"), ordering="last_error_at")
    def failed(self, loop: LoopCycle) -> str:
        return ago(loop.last_error_at)


# Of an entry in the list; its own page shows all of it.
_LINES = 4
_LINE_LENGTH = 120


class TableFilter(admin.SimpleListFilter):
    """Which table; only those that have a history."""

    title = _("table")
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wholes = [model for model in tracked_models() if not tracked(model).part_of]
        return [
            (model._meta.label_lower, capfirst(str(model._meta.verbose_name_plural)))
            for model in wholes
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[LogEntry]
    ) -> QuerySet[LogEntry]:
        app_label, _dot, model = (self.value() or "").partition(".")
        if not model:
            return queryset
        return queryset.filter(
            content_type__app_label=app_label, content_type__model=model
        )


@admin.register(LogEntry)
class HistoryAdmin(LookOnlyAdmin):
    """What was changed in the configuration, and by whom."""

    list_display = ["at", "person", "did", "what", "changed", "came_via"]
    list_filter = [
        TableFilter,
        "action",
        "timestamp",
        ("actor", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["actor", "content_type"]
    search_fields = ["object_repr", "actor__username", "actor__last_name"]
    search_help_text = _("Name of what was changed, or who changed it")
    ordering = ["-pk"]
    fields = readonly_fields = [
        "at",
        "person",
        "came_via",
        "did",
        "what",
        "all_changes",
    ]

    @admin.display(description=_("when"), ordering="timestamp")
    def at(self, entry: LogEntry) -> str:
        return clock(entry.timestamp)

    @admin.display(description=_("who"), ordering="actor__username")
    def person(self, entry: LogEntry) -> str:
        return reading.who(entry)

    @admin.display(description=_("did"), ordering="action")
    def did(self, entry: LogEntry) -> str:
        return reading.did(entry)

    @admin.display(description=_("what"), ordering="object_repr")
    def what(self, entry: LogEntry) -> str:
        kind = entry.content_type.model_class()
        name = kind._meta.verbose_name if kind else entry.content_type.model
        return format_html(
            '{} <span class="ops-soft">{}</span>', entry.object_repr, name
        )

    @admin.display(description=_("changes"))
    def changed(self, entry: LogEntry) -> str:
        lines = [str(line) for line in reading.lines(entry)]
        shown = [Truncator(line).chars(_LINE_LENGTH) for line in lines[:_LINES]]
        if len(lines) > _LINES:
            rest = len(lines) - _LINES
            shown.append(
                ngettext("%(count)d more", "%(count)d more", rest) % {"count": rest}
            )
        return (
            format_html_join("", "<div>{}</div>", ((one,) for one in shown)) or NOTHING
        )

    @admin.display(description=_("changes"))
    def all_changes(self, entry: LogEntry) -> str:
        rows = ((str(line),) for line in reading.lines(entry))
        return format_html_join("", "<div>{}</div>", rows) or NOTHING

    @admin.display(description=_("through"))
    def came_via(self, entry: LogEntry) -> str:
        return reading.via(entry)
