"""Asking somebody to take a shift of one's own, and their answer."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.models import SwapRequest
from incidents.oncall import swapping
from incidents.oncall.forms import SwapForm
from incidents.oncall.pages.answering import (
    TAKE,
    acting,
    dragged,
    form_page,
    get_or_post,
    save,
    tell,
)
from incidents.oncall.people import contact_of
from t4g_portal.lib.access import requires


@get_or_post
@requires("incidents.view_schedule", TAKE)
def ask_swap(request: HttpRequest) -> HttpResponse:
    """Ask somebody to take a shift of one's own."""
    me = contact_of(request)
    if me is None:
        raise Http404
    if request.method != "POST":
        form = SwapForm(me=me, initial=dragged(request))
        return form_page(request, "oncall/swap.html", form, _("Ask for a swap"))
    form = SwapForm(request.POST, me=me)
    return save(
        request,
        form,
        lambda: swapping.ask(
            schedule_id=form.cleaned_data["schedule"].pk,
            asker_id=me.pk,
            other_id=form.cleaned_data["other"].pk,
            starts_at=form.cleaned_data["starts_at"],
            ends_at=form.cleaned_data["ends_at"],
            return_starts_at=form.cleaned_data["return_starts_at"],
            return_ends_at=form.cleaned_data["return_ends_at"],
            message=form.cleaned_data["message"],
            now=timezone.now(),
        ),
        done=lambda: (
            _("%(name)s is asked. Until they accept, it stays yours.")
            % {"name": form.cleaned_data["other"]}
        ),
        again=lambda gaps: form_page(
            request, "oncall/swap.html", form, _("Ask for a swap"), gaps=gaps
        ),
    )


@acting
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the shift that somebody asked for."""
    return _answer(request, pk, swapping.accept, _("The shift is yours."))


@acting
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave the shift with who asked."""
    return _answer(request, pk, swapping.decline, _("Declined. It stays theirs."))


@acting
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one's own request back."""
    return _answer(request, pk, swapping.withdraw, _("Withdrawn. It stays yours."))


def _answer(
    request: HttpRequest, pk: int, act: Callable[..., object], done: str
) -> HttpResponse:
    me = contact_of(request)
    is_party = me is not None and (
        SwapRequest.objects.filter(pk=pk).filter(Q(asker=me) | Q(other=me)).exists()
    )
    if me is None or not is_party:
        raise Http404
    contact_id = me.pk
    return tell(
        request,
        lambda: act(request_id=pk, contact_id=contact_id, now=timezone.now()),
        done,
    )
