"""Access and the portal's own loops; users and groups in Unfold's clothes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from t4g_portal.lib.admin import LookOnlyAdmin, PortalAdmin
from t4g_portal.lib.models import LoopCycle
from t4g_portal.lib.templatetags.portal import ago, duration

admin.site.index_title = _("Administration")
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, PortalAdmin):  # type: ignore[misc,type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "full_name", "email", "is_active", "is_superuser"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]

    @admin.display(description=_("name"), ordering="last_name")
    def full_name(self, user: User) -> str:
        return user.get_full_name()


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, PortalAdmin):  # type: ignore[misc]
    pass


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
