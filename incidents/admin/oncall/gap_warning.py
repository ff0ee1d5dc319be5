"""An edit in the admin that leaves time without anybody is said before it is saved.

The calendar is compared with the one before. Before a deletion, too, it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone

from incidents.admin.forewarning import ForewarningAdmin
from incidents.oncall import recording, who
from incidents.oncall.acting import gap_sentences
from incidents.oncall.plan import Plan


@dataclass(frozen=True, slots=True)
class Part:
    """What the rows of a table have to do with who is on call.

    `schedules`: those that a row has a part in.
    `without`: a plan as it would be if the row were gone.
    """

    schedules: Callable[[Any], Collection[int]]
    without: Callable[[Plan, Any], Plan]


class GapWarningAdmin(ForewarningAdmin):
    """The admin of something that decides who is on call."""

    part: Part

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        now = timezone.now()
        ids = set(self.part.schedules(obj))
        if change:
            # It may be moved from one schedule or person to another.
            ids |= set(self.part.schedules(self.get_queryset(request).get(pk=obj.pk)))
        recording.record(schedule_ids=ids, now=now)
        request.on_call_before = (now, who.plan_of(ids, since=now))  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def sentences(self, request: HttpRequest, row: Any) -> list[str]:
        now, before = request.on_call_before  # type: ignore[attr-defined]
        after = who.plan_of(list(before), since=now)
        return [
            *gap_sentences(before, after, now),
            *super().sentences(request, row),
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say when nobody would be on call, on the page that asks about one or many."""
        if "post" not in request.POST:
            for sentence in self._sentences_without(list(objs)):
                messages.warning(request, sentence)
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        recording.record(schedule_ids=self.part.schedules(obj), now=timezone.now())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        ids = {pk for row in queryset for pk in self.part.schedules(row)}
        recording.record(schedule_ids=ids, now=timezone.now())
        super().delete_queryset(request, queryset)

    def _sentences_without(self, rows: Collection[Any]) -> list[str]:
        """Say when nobody would be on call if rows were gone; nothing is changed."""
        now = timezone.now()
        ids = {pk for row in rows for pk in self.part.schedules(row)}
        before = who.plan_of(ids, since=now)
        after = dict(before)
        for row in rows:
            for pk in after.keys() & set(self.part.schedules(row)):
                after[pk] = self.part.without(after[pk], row)
        return gap_sentences(before, after, now)
