"""The audit chain to look at: who did what, and the hashes that tie it together."""

from __future__ import annotations

import json

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from incidents import sources
from t4g_portal.lib.admin import LookOnlyAdmin
from t4g_portal.lib.models import AuditEntry
from t4g_portal.lib.templatetags.portal import clock

# What a row of the list shows of a hash; its own page shows all of it.
_HASH_SHOWN = 12


@admin.register(AuditEntry)
class AuditEntryAdmin(LookOnlyAdmin):
    """What people, keys and the portal did that must hold up later."""

    list_display = ["seq", "when", "who", "act", "what", "short_hash"]
    list_display_links = ["seq", "when"]
    list_filter = ["actor_kind", "at"]
    search_fields = ["=subject", "action", "actor_name"]
    search_help_text = _(
        "Subject such as run:12, act such as checklist.signed, or name"
    )
    ordering = ["-seq"]
    fieldsets = [
        (None, {"fields": ["seq", "when", "who", "act", "what"]}),
        (_("Details"), {"fields": ["all_details"]}),
        (
            _("In the chain"),
            {
                "fields": ["version", "previous", "own_hash"],
                "description": _(
                    "The hash covers all of the above and the hash of the entry before. "
                    "manage.py audit_verify reckons it again."
                ),
            },
        ),
    ]
    readonly_fields = [
        *("seq", "when", "who", "act", "what", "all_details"),
        *("version", "previous", "own_hash"),
    ]

    def has_view_permission(
        self, request: HttpRequest, obj: AuditEntry | None = None
    ) -> bool:
        # "Change" doesn't exist here, so it lets nobody in.
        return request.user.has_perm("cellar.view_auditentry")

    @admin.display(description=_("when"), ordering="seq")
    def when(self, entry: AuditEntry) -> str:
        return clock(entry.at)

    @admin.display(description=_("who"), ordering="actor_name")
    def who(self, entry: AuditEntry) -> SafeString:
        return format_html(
            '{} <span class="ops-soft">{}</span>',
            entry.actor_name,
            entry.get_actor_kind_display(),
        )

    @admin.display(description=_("act"), ordering="action")
    def act(self, entry: AuditEntry) -> SafeString:
        return format_html("<code>{}</code>", entry.action)

    @admin.display(description=_("on what"), ordering="subject")
    def what(self, entry: AuditEntry) -> SafeString:
        url = sources.url_of(entry.subject)
        if url:
            return format_html('<a href="{}">{}</a>', url, entry.subject)
        return format_html("{}", entry.subject)

    @admin.display(description=_("hash"))
    def short_hash(self, entry: AuditEntry) -> SafeString:
        return format_html(
            '<code title="{}">{}…</code>', entry.hash, entry.hash[:_HASH_SHOWN]
        )

    @admin.display(description=_("details"))
    def all_details(self, entry: AuditEntry) -> SafeString:
        text = json.dumps(entry.details, indent=2, ensure_ascii=False, sort_keys=True)
        return _code(text)

    @admin.display(description=_("hash of the entry before"))
    def previous(self, entry: AuditEntry) -> SafeString:
        return _code(entry.prev_hash)

    @admin.display(description=_("hash"))
    def own_hash(self, entry: AuditEntry) -> SafeString:
        return _code(entry.hash)


def _code(text: str) -> SafeString:
    return format_html('<pre class="ops-code">{}</pre>', text)
