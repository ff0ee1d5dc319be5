"""What gates answered: to look at, never to edit."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from checklists.models import GateDecision
from t4g_portal.lib.admin import LookOnlyAdmin

_VERDICT_COLORS = {
    GateDecision.Verdict.PASS: "success",
    GateDecision.Verdict.BLOCK: "danger",
}


@admin.register(GateDecision)
class GateDecisionAdmin(LookOnlyAdmin):
    list_display = [
        "decided_at",
        "service_slug",
        "environment",
        "commit",
        "shown_verdict",
        "blocked_by",
        "caller",
    ]
    list_filter = ["verdict", "environment", "service_slug", "decided_at"]
    search_fields = ["service_slug", "git_sha", "caller", "key_id"]
    ordering = ["-decided_at", "-pk"]

    @admin.display(description=gettext_lazy("commit"), ordering="git_sha")
    def commit(self, decision: GateDecision) -> str:
        return decision.git_sha[:10]

    @display(  # type: ignore[untyped-decorator]
        description=gettext_lazy("verdict"), ordering="verdict", label=_VERDICT_COLORS
    )
    def shown_verdict(self, decision: GateDecision) -> tuple[str, str]:
        return decision.verdict, decision.get_verdict_display()

    @admin.display(description=gettext_lazy("blocked by"))
    def blocked_by(self, decision: GateDecision) -> str:
        """Name the items, or say what was wrong with the run as a whole."""
        return ", ".join(one["item"] or one["state"] for one in decision.reasons)
