"""A table that people edit, and one that the engine owns.

What Django's admin leaves to chance is settled here: a missing permission is 403 with
what to ask for, an unknown object is 404, counts are bounded, garbage is no error of
ours.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import JSONField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.admin.conflicts import guarded, with_lost_lines_as_new
from t4g_portal.lib.admin.input import (
    NUL,
    BoundedPaginator,
    ForgivingChangeList,
    PlainJSONField,
    has_nul,
    with_real_choices,
)
from t4g_portal.lib.history import is_tracked
from t4g_portal.lib.history.reading import entries_of, read
from t4g_portal.lib.pages import render_page

_HISTORY_PER_PAGE = 100


class PortalAdmin(ModelAdmin):  # type: ignore[misc]
    """The admin of a table, in the portal's shell."""

    # The second count of a filtered list costs as much as the list.
    show_full_result_count = False
    list_per_page = 50
    paginator = BoundedPaginator
    warn_unsaved_form = True
    change_form_before_template = "admin/_seen.html"

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Model:
        """Return the row; Http404 when there is none, whatever the id looks like."""
        self._check_number(object_id)
        found: Model | None = super().get_object(request, object_id, from_field)
        if found is None:
            raise self._no_such_row()
        return found

    def _check_number(self, number: str) -> None:
        """Raise Http404 for what can't be the key of any row."""
        try:
            self.opts.pk.to_python(number)
        except ValidationError as error:
            raise self._no_such_row() from error
        # PostgreSQL has no such character, and says so with an error of its own.
        if NUL in number:
            raise self._no_such_row()

    def _make_choices_real(self, request: HttpRequest) -> None:
        if request.method == "POST":
            request.POST = with_real_choices(  # type: ignore[assignment]
                request.POST,
                model=self.model,
                choices=self.get_autocomplete_fields(request),
            )

    def _no_such_row(self) -> Http404:
        return Http404(
            _("There is no %(what)s with this number. Perhaps it was deleted.")
            % {"what": self.opts.verbose_name}
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.demand(request, "view_or_change")
        if has_nul(request.GET):
            return redirect(f"{request.path}?{ERROR_FLAG}=1")
        self._make_choices_real(request)
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def get_changelist(
        self, request: HttpRequest, **kwargs: Any
    ) -> type[ForgivingChangeList]:
        return ForgivingChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # A pattern in an address is nobody's filter, and PostgreSQL chokes on a bad one.
        if lookup.endswith("regex"):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if isinstance(db_field, JSONField):
            kwargs.setdefault("form_class", PlainJSONField)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term.replace(NUL, "")
        )
        return found

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            self.demand(request, "add")
        elif request.method == "POST":
            self.demand(request, "change")
        else:
            self.demand(request, "view_or_change")
        if object_id is not None:
            # Unfold asks which buttons to show before Django looks for the row.
            self._check_number(unquote(object_id))
        self._make_choices_real(request)
        context = {"show_history": is_tracked(self.model), **(extra_context or {})}
        answer: HttpResponse = super().changeform_view(
            request, object_id, form_url, context
        )
        return answer

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return guarded(form) if change and is_tracked(self.model) else form

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        self.demand(request, "delete")
        answer: HttpResponse = super().delete_view(request, object_id, extra_context)
        return answer

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        self.demand(request, "view_or_change")
        row = self.get_object(request, unquote(object_id))
        if not is_tracked(self.model):
            raise Http404(
                _("The portal writes this table itself and keeps no history.")
            )
        page = Paginator(entries_of(row), _HISTORY_PER_PAGE).get_page(
            request.GET.get("page")
        )
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        context = {
            "opts": self.opts,
            "original": row,
            "page": page,
            "entries": read(page),
            "back_url": reverse(name, args=[row.pk]),
            **(extra_context or {}),
        }
        return render_page(
            request, "admin/history.html", context, title=str(_("History"))
        )

    def get_formset_kwargs(
        self, request: HttpRequest, obj: Any, inline: Any, prefix: str
    ) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_formset_kwargs(
            request, obj, inline, prefix
        )
        if "data" in kwargs and obj.pk is not None:
            kwargs["data"] = with_lost_lines_as_new(
                kwargs["data"], prefix=prefix, model=inline.model
            )
        return kwargs

    # Django's own log names fields but keeps no values; one history is enough.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the history has it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Nothing: the history has it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Nothing: the history has it."""

    def demand(self, request: HttpRequest, act: str) -> None:
        """Raise PermissionMissing unless somebody may `act`: add, change, delete, view.

        `view_or_change` asks for one of the two, and for "view" when both are missing.
        """
        if getattr(self, f"has_{act}_permission")(request):
            return
        codename = get_permission_codename(
            "view" if act == "view_or_change" else act, self.opts
        )
        raise PermissionMissing(f"{self.opts.app_label}.{codename}")


class LookOnlyAdmin(PortalAdmin):
    """A table that the engine owns: to look at, never to edit (design §5.6)."""

    def demand(self, request: HttpRequest, act: str) -> None:
        """Raise what tells why: a permission that is missing, or that nobody edits."""
        if act != "view_or_change":
            raise PermissionDenied(
                _("The portal writes this table itself. Nobody edits it by hand.")
            )
        super().demand(request, act)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
