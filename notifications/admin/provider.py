"""Providers: whose accounts carry SMS and calls, whether they work, and a test of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from notifications import callbacks
from notifications.admin.parts import confirm, label, redirect_to, say_result
from notifications.carriers import NEEDED
from notifications.delivery import try_provider
from notifications.forms import ProviderForm
from notifications.models import Address, Provider
from notifications.models.provider import new_url_token
from notifications.provider_rules import missing_provider_fields
from notifications.services import UnableToEnqueue
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.secrets import has_secret
from t4g_portal.lib.templatetags.portal import ago

_METHODS = {"sms": _("An SMS"), "voice": _("A call")}


class TestForm(forms.Form):
    """What to send where."""

    method = forms.ChoiceField(label=_("Send"), widget=UnfoldAdminSelectWidget)
    address = forms.ModelChoiceField(
        label=_("To"),
        queryset=Address.objects.none(),
        widget=UnfoldAdminSelectWidget,
        empty_label=None,
    )

    def __init__(self, *args: Any, provider: Provider, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        method = cast(forms.ChoiceField, self.fields["method"])
        method.choices = [
            (name, text)
            for name, text in _METHODS.items()
            if not _lacks(provider, name)
        ]
        address = cast(Any, self.fields["address"])
        address.queryset = (
            Address.objects.filter(
                kind="phone", is_enabled=True, contact__is_enabled=True
            )
            .select_related("contact", "verification")
            .order_by("contact__name", "value")
        )
        address.label_from_instance = lambda one: f"{one.contact.name} ({one.value})"


@admin.register(Provider)
class ProviderAdmin(ManyAdmin):
    form = ProviderForm
    fieldsets = [
        (None, {"fields": ["name", "kind", "position", "is_enabled"]}),
        (
            _("Account"),
            {
                "fields": [
                    "account",
                    "key_id",
                    "new_secret",
                    "new_second_secret",
                    "clear_secrets",
                ]
            },
        ),
        (
            _("Sending"),
            {"fields": ["sender", "voice_sender", "rate_per_s", "called_back_at"]},
        ),
    ]
    readonly_fields = ["called_back_at"]
    list_display = ["name", "kind", "position", "state_label", "last_sent", "problem"]
    list_filter = ["kind", "is_enabled"]
    search_fields = ["name", "account", "sender"]
    ordering = ["position", "name"]
    actions = ["enable", "disable"]
    actions_detail = ["send_test", "renew_token", "clone_row"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        queryset: QuerySet[Provider] = super().get_queryset(request)
        return queryset.select_related("state")

    @method_decorator(sensitive_post_parameters("new_secret", "new_second_secret"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(*args, **kwargs)

    @admin.display(description=_("state"), ordering="is_enabled")
    def state_label(self, provider: Provider) -> str:
        if missing_provider_fields(kind=provider.kind, filled=_filled(provider)):
            return label(text=_("Not configured"), variant="warning", icon="build")
        if not provider.is_enabled:
            return label(text=_("Disabled"), variant="default", icon="block")
        if _state(provider, "error"):
            return label(text=_("Failing"), variant="danger", icon="error")
        return label(text=_("Enabled"), variant="success", icon="check")

    @admin.display(description=_("last sent"), ordering="state__sent_at")
    def last_sent(self, provider: Provider) -> str:
        return ago(_state(provider, "sent_at"))

    @admin.display(description=_("last error"))
    def problem(self, provider: Provider) -> str:
        return _state(provider, "error") or "–"

    @admin.display(
        description=_("delivery reports"),
    )
    def called_back_at(self, provider: Provider) -> str:
        if provider.kind == "ovh" and provider.pk:
            return str(
                _(
                    "Enter this as the callback address of the SMS service at "
                    "OVHcloud: %(url)s"
                )
                % {"url": callbacks.reports_url(provider.url_token)}
            )
        return str(_("Nothing to set: each message says where to report."))

    def bulk_faults(self, row: Any, names: Sequence[str]) -> Iterable[str]:
        if row.is_enabled:
            yield from missing_provider_fields(
                kind=row.kind, filled=_filled(row)
            ).values()

    def has_test_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.has_change_permission(request))

    @action(  # type: ignore[untyped-decorator]
        description=_("Send test"), url_path="test", permissions=["test"], icon="send"
    )
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = cast(Provider, self.get_object(request, unquote(object_id)))
        is_sent = request.method == "POST"
        form = TestForm(request.POST if is_sent else None, provider=provider)
        if is_sent and form.is_valid():
            return self._try(request, provider, form.cleaned_data)
        context = {
            "opts": self.opts,
            "original": provider,
            "form": form,
            "has_method": bool(cast(Any, form.fields["method"]).choices),
            "has_address": cast(Any, form.fields["address"]).queryset.exists(),
            "contacts_url": reverse("admin:notifications_contact_changelist"),
            "back_url": _page(provider),
        }
        return render_page(
            request,
            "notifications/provider_test.html",
            context,
            title=str(_("Send a test")),
        )

    @action(  # type: ignore[untyped-decorator]
        description=_("Renew callback address"),
        url_path="renew",
        permissions=["test"],
        icon="autorenew",
    )
    def renew_token(self, request: HttpRequest, object_id: str) -> HttpResponse:
        provider = cast(Provider, self.get_object(request, unquote(object_id)))
        if request.method == "POST":
            provider.url_token = new_url_token()
            provider.save(update_fields=["url_token"])
            messages.success(
                request, _("The old address is dead. Enter the new one at OVHcloud.")
            )
            return redirect_to(obj=provider)
        return confirm(
            request,
            obj=provider,
            title=_("Renew the callback address"),
            question=_(
                "Reports to the old address are refused from then on. The new address "
                "has to be entered at OVHcloud."
            ),
            verb=_("Renew"),
        )

    def _try(
        self, request: HttpRequest, provider: Provider, wanted: dict[str, Any]
    ) -> HttpResponse:
        assert isinstance(request.user, User)  # noqa: S101 the admin asks for a login
        try:
            sent = try_provider(
                provider=provider,
                address=wanted["address"],
                method=wanted["method"],
                now=timezone.now(),
                requested_by=request.user,
            )
        except UnableToEnqueue as error:
            messages.error(request, str(error))
            return redirect_to(obj=provider)
        say_result(request, sent)
        can_view = request.user.has_perm("notifications.view_notification")
        return redirect_to(obj=sent if can_view else provider)


def _page(provider: Provider) -> str:
    return reverse("admin:notifications_provider_change", args=[provider.pk])


def _state(provider: Provider, name: str) -> Any:
    # A provider that nothing was sent through has no state yet.
    return getattr(getattr(provider, "state", None), name, None)


def _filled(provider: Provider) -> set[str]:
    names = {"account", "key_id", "sender", "voice_sender"}
    return {name for name in names if getattr(provider, name)} | {
        name for name in Provider.SECRETS if has_secret(provider, name)
    }


def _lacks(provider: Provider, method: str) -> bool:
    needed = NEEDED.get((method, provider.kind))
    return needed is None or not _filled(provider) >= set(needed)
