"""Hand-overs, roles, postmortems and action items, to look at and to search."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from incidents.models import ActionItem, Handover, IncidentRole, Postmortem
from t4g_portal.lib.admin import LookOnlyAdmin

_HANDOVER_COLORS = {
    Handover.Status.ASKED: "warning",
    Handover.Status.ACCEPTED: "success",
}
_POSTMORTEM_COLORS = {
    Postmortem.Status.DRAFT: "warning",
    Postmortem.Status.FINISHED: "success",
}
_ITEM_COLORS = {
    ActionItem.Status.OPEN: "warning",
    ActionItem.Status.DONE: "success",
}


def _link(name: str, number: int) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(name, args=[number]), _("Open"))


@admin.register(Handover)
class HandoverAdmin(LookOnlyAdmin):
    list_display = (
        "asked_at",
        "incident",
        "asker_name",
        "direction",
        "asked_name",
        "shown_status",
        "answered_at",
    )
    list_filter = ("status", "direction", "asked_at")
    list_select_related = ("incident",)
    search_fields = ("asker_name", "asked_name", "incident__title", "=incident__id")
    ordering = ("-pk",)

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("status"), ordering="status", label=_HANDOVER_COLORS
    )
    def shown_status(self, row: Handover) -> tuple[str, str]:
        return row.status, row.get_status_display()


@admin.register(IncidentRole)
class IncidentRoleAdmin(LookOnlyAdmin):
    list_display = ("incident", "role", "name", "given_at")
    list_filter = ("role", "given_at")
    list_select_related = ("incident",)
    search_fields = ("name", "incident__title", "=incident__id")
    ordering = ("-pk",)


@admin.register(Postmortem)
class PostmortemAdmin(LookOnlyAdmin):
    list_display = ("incident", "shown_status", "due_on", "owner_name", "page_link")
    list_filter = ("status", "due_on")
    list_select_related = ("incident",)
    search_fields = ("owner_name", "summary", "incident__title", "=incident__id")
    ordering = ("-pk",)

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("status"), ordering="status", label=_POSTMORTEM_COLORS
    )
    def shown_status(self, row: Postmortem) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @admin.display(description=gettext_lazy("page"))
    def page_link(self, row: Postmortem) -> SafeString:
        return _link("incidents:postmortem", row.incident_id)


@admin.register(ActionItem)
class ActionItemAdmin(LookOnlyAdmin):
    list_display = (
        "text",
        "incident",
        "shown_status",
        "due_on",
        "owner_name",
        "page_link",
    )
    list_filter = ("status", "due_on")
    list_select_related = ("incident",)
    search_fields = ("text", "owner_name", "incident__title", "=incident__id")
    ordering = ("-pk",)

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("status"), ordering="status", label=_ITEM_COLORS
    )
    def shown_status(self, row: ActionItem) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @admin.display(description=gettext_lazy("page"))
    def page_link(self, row: ActionItem) -> SafeString:
        return _link("incidents:item", row.pk)
