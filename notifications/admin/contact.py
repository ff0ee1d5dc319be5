"""People and where they get their messages."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from notifications.forms import AddressForm, ContactForm
from notifications.models import Address, Contact
from t4g_portal.lib.admin import ManyAdmin


class AddressInline(TabularInline):  # type: ignore[misc]
    model = Address
    form = AddressForm
    extra = 0
    hide_title = True


@admin.register(Contact)
class ContactAdmin(ManyAdmin):
    form = ContactForm
    inlines = [AddressInline]
    list_display = ["name", "where", "user", "language", "is_enabled"]
    list_filter = ["is_enabled", "language"]
    list_select_related = ["user"]
    search_fields = ["name", "addresses__value", "user__username"]
    ordering = ["name"]
    actions = ["enable", "disable"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        queryset: QuerySet[Contact] = super().get_queryset(request)
        return queryset.prefetch_related("addresses")

    @admin.display(description=_("addresses"))
    def where(self, contact: Contact) -> str:
        values = [one.value for one in contact.addresses.all() if one.is_enabled]
        return ", ".join(values) or "–"
