"""People: where they get their messages, the proof of it, how they wish to be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import TabularInline
from unfold.decorators import action

from notifications import own_page, verifying
from notifications.admin.parts import label
from notifications.forms import AddressForm, ContactForm, RuleForm
from notifications.models import Address, Contact, PersonalRule
from notifications.saying import say_sent, say_verified
from t4g_portal.lib.access import check
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.pages import render_page

_VERIFY = "notifications.change_address"


class AddressInline(TabularInline):  # type: ignore[misc]
    model = Address
    form = AddressForm
    fields = ["kind", "value", "is_enabled", "state"]
    readonly_fields = ["state"]
    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Address]:
        queryset: QuerySet[Address] = super().get_queryset(request)
        return queryset.select_related("verification")

    @admin.display(description=_("verified"))
    def state(self, address: Address) -> str:
        if address.is_verified:
            return label(text=_("Verified"), variant="success", icon="check_circle")
        return label(text=_("Not verified"), variant="warning", icon="pending")


class RuleInline(TabularInline):  # type: ignore[misc]
    model = PersonalRule
    form = RuleForm
    extra = 0
    hide_title = True


@admin.register(Contact)
class ContactAdmin(ManyAdmin):
    form = ContactForm
    inlines = [AddressInline, RuleInline]
    list_display = [
        "name",
        "reach",
        "where",
        "user",
        "language",
        "is_catch_all",
        "is_enabled",
    ]
    list_filter = ["is_enabled", "is_catch_all", "language"]
    list_select_related = ["user"]
    search_fields = ["name", "addresses__value", "user__username"]
    ordering = ["name"]
    actions = ["enable", "disable"]
    actions_detail = ["verify_addresses"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        queryset: QuerySet[Contact] = super().get_queryset(request)
        return queryset.prefetch_related("addresses__verification")

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/addresses/<int:address_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"notifications_contact_{name}",
            )
            for name, view in (
                ("send-code", self._send_code),
                ("verify", sensitive_post_parameters("code")(self._verify)),
                ("by-hand", self._verify_by_hand),
            )
        ]
        return [*own, *super().get_urls()]

    @admin.display(description=_("reached"))
    def reach(self, contact: Contact) -> str:
        if not contact.is_enabled:
            return label(text=_("Off"), variant="default", icon="block")
        addresses = [one for one in contact.addresses.all() if one.is_enabled]
        if any(one.is_verified for one in addresses):
            return label(text=_("Verified"), variant="success", icon="check_circle")
        if addresses:
            return label(text=_("Not verified"), variant="warning", icon="pending")
        return label(text=_("No address"), variant="danger", icon="error")

    @admin.display(description=_("addresses"))
    def where(self, contact: Contact) -> str:
        values = [one.value for one in contact.addresses.all() if one.is_enabled]
        return ", ".join(values) or "–"

    # --- Verifying ----------------------------------------------------------------------

    def has_verify_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether somebody may help a contact to prove an address."""
        return bool(request.user.has_perm(_VERIFY))

    @action(  # type: ignore[untyped-decorator]
        description=_("Verify addresses"),
        url_path="addresses",
        permissions=["verify"],
        icon="fact_check",
    )
    def verify_addresses(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send codes, take those that people read out, or answer for an address."""
        self.demand(request, "view_or_change")
        contact = cast(Contact, self.get_object(request, unquote(object_id)))
        now = timezone.now()
        context = {
            "opts": self.opts,
            "original": contact,
            "now": now,
            "places": own_page.addresses_of(contact=contact, now=now),
            "back_url": reverse(
                "admin:notifications_contact_change", args=[contact.pk]
            ),
        }
        return render_page(
            request,
            "notifications/verify.html",
            context,
            title=str(_("Verify addresses")),
        )

    def _send_code(
        self, request: HttpRequest, object_id: str, address_id: int
    ) -> HttpResponse:
        return self._about_address(
            request, object_id, address_id, lambda one: say_sent(request, address=one)
        )

    def _verify(
        self, request: HttpRequest, object_id: str, address_id: int
    ) -> HttpResponse:
        return self._about_address(
            request,
            object_id,
            address_id,
            lambda one: say_verified(request, address=one),
        )

    def _verify_by_hand(
        self, request: HttpRequest, object_id: str, address_id: int
    ) -> HttpResponse:
        def answer_for(address: Address) -> None:
            verifying.verify_by_hand(address=address, now=timezone.now())
            said = _("%(value)s counts as verified. The history says by whom.")
            messages.success(request, said % {"value": address.value})

        return self._about_address(request, object_id, address_id, answer_for)

    def _about_address(
        self,
        request: HttpRequest,
        object_id: str,
        address_id: int,
        act: Callable[[Address], None],
    ) -> HttpResponse:
        check(request, _VERIFY)
        contact = self.get_object(request, unquote(object_id))
        address = (
            Address.objects.filter(contact=contact.pk, pk=address_id)
            .select_related("contact")
            .first()
        )
        if address is None:
            raise Http404(
                _("This contact has no such address. Perhaps it was removed.")
            )
        if request.method == "POST":
            act(address)
        where = reverse(
            "admin:notifications_contact_verify_addresses", args=[contact.pk]
        )
        return redirect(f"{where}#address-{address.pk}")
