"""What can be done with one row or with many beside editing it: clone, switch, edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from t4g_portal.lib.admin import bulk
from t4g_portal.lib.admin.base import PortalAdmin
from t4g_portal.lib.admin.cloning import clone, has_secrets
from t4g_portal.lib.pages import render_page

_SHOWN = 100


class ManyAdmin(PortalAdmin):
    """A table whose rows are switched, edited and cloned many at a time.

    `bulk_fields`: the columns that `edit_several` offers.
    """

    bulk_fields: Sequence[str] = ()

    def bulk_faults(self, row: Any, names: Sequence[str]) -> Iterable[str]:
        """Say what is wrong with a row in which `names` were changed, not yet saved."""
        return ()

    # --- Many ---------------------------------------------------------------------------

    @admin.action(description=_("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Switch rows on, all or none."""
        self.switch(
            request,
            queryset,
            is_enabled=True,
            sentence=lambda count: ngettext(
                "%(count)d enabled.", "%(count)d enabled.", count
            ),
        )

    @admin.action(description=_("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Switch rows off, all or none."""
        self.switch(
            request,
            queryset,
            is_enabled=False,
            sentence=lambda count: ngettext(
                "%(count)d disabled.", "%(count)d disabled.", count
            ),
        )

    def switch(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        *,
        is_enabled: bool,
        sentence: Any,
    ) -> None:
        """Switch rows, and say in `sentence(count)` how many were."""
        try:
            count = bulk.apply(
                rows=queryset,
                values={"is_enabled": is_enabled},
                faults=self.bulk_faults,
            )
        except bulk.UnableToApply as error:
            messages.error(request, str(error))
            return
        messages.success(request, sentence(count) % {"count": count})

    @admin.action(description=_("Edit several"), permissions=["change"])
    def edit_several(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        """Ask what to change, show what would become of each row, then change all."""
        if queryset.count() > bulk.MOST_ROWS:
            messages.error(
                request,
                _("Choose at most %(count)d at once.") % {"count": bulk.MOST_ROWS},
            )
            return None
        is_typed = "bulk" in request.POST
        rows = queryset.order_by("pk")
        form = bulk.form_for(
            self.model, self.bulk_fields, request.POST if is_typed else None
        )
        problem, preview = "", None
        if is_typed and form.is_valid():
            values = bulk.values_of(form)
            if not values:
                problem = str(_("Nothing is typed yet. Fill in what shall change."))
            elif "apply" in request.POST:
                try:
                    count = bulk.apply(
                        rows=rows,
                        values=values,
                        faults=self.bulk_faults,
                        state=request.POST.get("state", ""),
                    )
                except bulk.UnableToApply as error:
                    problem = str(error)
                else:
                    said = ngettext(
                        "%(count)d row changed.", "%(count)d rows changed.", count
                    )
                    messages.success(request, said % {"count": count})
                    return redirect(request.get_full_path())
            if values:
                preview = bulk.preview(
                    rows=rows, values=values, faults=self.bulk_faults
                )
                if "leave_out" in request.POST and preview.refused:
                    kept = [one.row.pk for one in preview.outcomes if not one.faults]
                    rows = rows.filter(pk__in=kept)
                    preview = bulk.preview(
                        rows=rows, values=values, faults=self.bulk_faults
                    )
        context = {
            "opts": self.opts,
            "form": form,
            "problem": problem,
            "preview": preview,
            "shown": _most_telling(preview) if preview else [],
            "chosen": list(rows.values_list("pk", flat=True)),
            "names": [str(row) for row in rows[:_SHOWN]] if not preview else [],
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "back_url": request.get_full_path(),
        }
        return render_page(
            request, "admin/bulk.html", context, title=str(_("Edit several"))
        )

    # --- One ----------------------------------------------------------------------------

    def has_clone_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether somebody may make a copy: who may add may."""
        return bool(self.has_add_permission(request))

    def clone_changes(self, request: HttpRequest) -> dict[str, Any]:
        """Return the columns in which a copy by this person differs."""
        return {}

    @action(  # type: ignore[untyped-decorator]
        description=_("Clone"),
        url_path="clone",
        permissions=["clone"],
        icon="content_copy",
    )
    def clone_row(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then make a copy and open it."""
        self.demand(request, "view_or_change")
        row = self.get_object(request, unquote(object_id))
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        if request.method == "POST":
            copy = clone(row, **self.clone_changes(request))
            messages.success(
                request,
                _("This is the copy. It is disabled until you enable it."),
            )
            return redirect(name, copy.pk)
        context = {
            "opts": self.opts,
            "original": row,
            "has_secrets": has_secrets(self.model),
            "back_url": reverse(name, args=[row.pk]),
        }
        return render_page(request, "admin/clone.html", context, title=str(_("Clone")))


def _most_telling(preview: bulk.Preview) -> list[bulk.Outcome]:
    """Return what is shown of a long preview: what is refused, then what changes."""
    return [*preview.refused, *preview.changed][:_SHOWN]
