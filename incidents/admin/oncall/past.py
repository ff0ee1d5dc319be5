"""Who was on call: the history, which later edits don't change."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.admin.parts import EndsShown
from incidents.models import OnCallRecord
from incidents.oncall import wording
from incidents.oncall.plan import Why, WhyKind
from t4g_portal.lib.admin import LookOnlyAdmin


@admin.register(OnCallRecord)
class OnCallRecordAdmin(EndsShown, LookOnlyAdmin):
    list_display = ("schedule_name", "person", "starts", "ends", "reason")
    list_filter = ("starts_at",)
    search_fields = ("schedule_name", "contact_name", "label")
    ordering = ("-starts_at", "-pk")

    @admin.display(description=gettext_lazy("person"), ordering="contact_name")
    def person(self, row: OnCallRecord) -> str:
        return row.contact_name or _("nobody")

    @admin.display(description=gettext_lazy("why"))
    def reason(self, row: OnCallRecord) -> str:
        reason = Why(WhyKind(row.why), row.label, instead_of=row.instead_of_number)
        return wording.why(
            reason, names={row.instead_of_number or 0: row.instead_of_name}
        )
