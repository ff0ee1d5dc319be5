"""My contact details: where one is told, the proof of it, and how one wishes to be told."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from notifications import own_page, people
from notifications.delivery import try_address
from notifications.models import Address
from notifications.own_forms import AddAddressForm, DetailsForm, OwnRulesForm
from notifications.saying import say_delivered, say_sent, say_verified
from notifications.services import UnableToEnqueue
from t4g_portal.lib.access import requires
from t4g_portal.lib.faults import UnableToSave
from t4g_portal.lib.pages import render_page

_member = requires()


@require_safe
@_member
def me(request: HttpRequest) -> HttpResponse:
    """Show somebody their own details."""
    return _page(request)


@require_POST
@_member
def add_address(request: HttpRequest) -> HttpResponse:
    """Add an address; a code has to prove it."""
    form = AddAddressForm(request.POST)
    if not form.is_valid():
        return _page(request, add_form=form)
    contact = people.own_contact(user=_user(request))
    try:
        address = people.add_address(contact=contact, **form.cleaned_data)
    except UnableToSave as error:
        for fault in error.faults:
            form.add_error(
                fault.field if fault.field in form.fields else None, fault.message
            )
        return _page(request, add_form=form)
    return _to_address(address)


@require_POST
@_member
def send_code(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a code to one's own address."""
    address = _own(request, pk)
    say_sent(request, address=address)
    return _to_address(address)


@sensitive_post_parameters("code")
@require_POST
@_member
def verify(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the code that came."""
    address = _own(request, pk)
    say_verified(request, address=address)
    return _to_address(address)


@require_POST
@_member
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test message, and say what became of it."""
    address = _own(request, pk)
    try:
        sent = try_address(
            address=address,
            method=request.POST.get("method", ""),
            now=timezone.now(),
            requested_by=_user(request),
        )
    except UnableToEnqueue as error:
        messages.error(request, str(error))
    else:
        say_delivered(
            request, sent, _("The test message was taken. Look whether it came.")
        )
    return _to_address(address)


@require_POST
@_member
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Use an address or don't."""
    address = _own(request, pk)
    address.is_enabled = request.POST.get("to") == "on"
    address.save(update_fields=["is_enabled"])
    return _to_address(address)


@require_POST
@_member
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove an address. What was sent there stays in the outbox."""
    _own(request, pk).delete()
    return redirect(f"{reverse('notifications:me')}#addresses")


@require_POST
@_member
def set_rules(request: HttpRequest) -> HttpResponse:
    """Set how one wishes to be told, or go back to the usual way."""
    form = OwnRulesForm(request.POST)
    contact = people.own_contact(user=_user(request))
    if request.POST.get("how") == "usual":
        people.set_own_rules(contact=contact, wishes={})
        messages.info(request, _("You are told in the usual way again."))
    elif form.is_valid():
        people.set_own_rules(contact=contact, wishes=form.wishes())
        messages.info(request, _("Saved."))
    else:
        return _page(request, rules_form=form)
    return redirect(f"{reverse('notifications:me')}#rules")


@require_POST
@_member
def set_details(request: HttpRequest) -> HttpResponse:
    """Set the language and the zone of one's messages."""
    form = DetailsForm(request.POST)
    if not form.is_valid():
        return _page(request, details_form=form)
    contact = people.own_contact(user=_user(request))
    people.change_contact(contact_id=contact.pk, values=form.cleaned_data)
    messages.info(request, _("Saved."))
    return redirect(f"{reverse('notifications:me')}#details")


def _page(request: HttpRequest, **forms: Any) -> HttpResponse:
    now = timezone.now()
    contact = people.contact_of(user=_user(request))
    rules_form: OwnRulesForm | None = forms.get("rules_form")
    page = own_page.load(
        contact=contact,
        now=now,
        typed=rules_form.cleaned_data if rules_form is not None else None,
    )
    context = {
        "now": now,
        "page": page,
        "add_form": AddAddressForm(),
        "rules_form": None,
        "details_form": DetailsForm(
            initial={
                "language": contact.language if contact else "",
                "time_zone": contact.time_zone if contact else "",
            }
        ),
        **forms,
    }
    return render_page(
        request,
        "notifications/me.html",
        context,
        title=_("My contact details"),
        status=422 if forms else 200,
    )


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _own(request: HttpRequest, pk: int) -> Address:
    address = (
        Address.objects.filter(contact__user=_user(request), pk=pk)
        .select_related("contact")
        .first()
    )
    if address is None:
        raise Http404(_("This address is not yours, or it was removed."))
    return address


def _to_address(address: Address) -> HttpResponse:
    return redirect(f"{reverse('notifications:me')}#address-{address.pk}")
