"""Columns that several lists of this folder show."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.templatetags.portal import minute


class _HasPriority(Protocol):
    priority: str


class _HasEnds(Protocol):
    starts_at: datetime
    ends_at: datetime


class PriorityShown:
    """A column with the priority, as the pages show it."""

    @admin.display(description=_("priority"), ordering="priority")
    def shown_priority(self, row: _HasPriority) -> str:
        return format_html(
            '<span class="ops-priority ops-priority-{}">{}</span>',
            row.priority,
            row.priority.upper(),
        )


class EndsShown:
    """Columns with the start and the end of a stretch of time."""

    @admin.display(description=_("from"), ordering="starts_at")
    def starts(self, row: _HasEnds) -> str:
        return minute(row.starts_at)

    @admin.display(description=_("until"), ordering="ends_at")
    def ends(self, row: _HasEnds) -> str:
        return minute(row.ends_at)
