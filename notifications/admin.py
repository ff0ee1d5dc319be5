"""The admin of contacts and channels, and the view of what was sent and what was not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from notifications.delivery import try_channel
from notifications.forms import AddressForm, ChannelForm, ContactForm
from notifications.message import UnableToReadMessage
from notifications.models import Address, Attempt, Channel, Contact, Notification
from notifications.preview import preview
from notifications.services import UnableToEnqueue, UnableToRetry, retry
from notifications.validation import missing_fields
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import ago, ms

_STATUS_SIGNS = {
    Notification.Status.QUEUED: ("info", "schedule"),
    Notification.Status.SENDING: ("info", "outgoing_mail"),
    Notification.Status.SENT: ("success", "check"),
    Notification.Status.DEAD: ("danger", "error"),
    Notification.Status.CANCELLED: ("default", "block"),
}


def _label(text: Any, variant: str, icon: str) -> SafeString:
    """A state as word, color and icon."""
    return render_to_string(
        "unfold/helpers/label.html", {"text": text, "variant": variant, "icon": icon}
    )


class AddressInline(TabularInline):  # type: ignore[misc]
    model = Address
    form = AddressForm
    extra = 0
    min_num = 0


@admin.register(Contact)
class ContactAdmin(ModelAdmin):  # type: ignore[misc]
    form = ContactForm
    inlines = [AddressInline]
    list_display = ["name", "where", "user", "language", "is_enabled"]
    list_filter = ["is_enabled", "language"]
    list_select_related = ["user"]
    search_fields = ["name", "addresses__value", "user__username"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        queryset: QuerySet[Contact] = super().get_queryset(request)
        return queryset.prefetch_related("addresses")

    @admin.display(description=_("addresses"))
    def where(self, contact: Contact) -> str:
        values = [one.value for one in contact.addresses.all() if one.is_enabled]
        return ", ".join(values) or "–"


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):  # type: ignore[misc]
    form = ChannelForm
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "kind",
                    "address",
                    "new_secret",
                    "clear_secret",
                    "language",
                    "is_enabled",
                ]
            },
        ),
    ]
    list_display = ["name", "kind", "state_label", "last_sent", "last_error"]
    list_filter = ["kind", "is_enabled"]
    search_fields = ["name", "address"]
    ordering = ["name"]
    actions_detail = ["send_test"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        # Deferred: lists and forms never hold a secret, readable or not.
        queryset: QuerySet[Channel] = super().get_queryset(request)
        return (
            queryset.defer("secret")
            .annotate(has_secret=~Q(secret=""))
            .select_related("state")
        )

    @method_decorator(sensitive_post_parameters("new_secret"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(*args, **kwargs)

    @admin.display(description=_("state"), ordering="is_enabled")
    def state_label(self, channel: Any) -> str:
        is_incomplete = missing_fields(
            kind=channel.kind, address=channel.address, has_secret=channel.has_secret
        )
        if is_incomplete:
            return _label(_("Not configured"), "warning", "build")
        if not channel.is_enabled:
            return _label(_("Disabled"), "default", "block")
        if _state(channel, "error"):
            return _label(_("Failing"), "danger", "error")
        return _label(_("Enabled"), "success", "check")

    @admin.display(description=_("last sent"), ordering="state__sent_at")
    def last_sent(self, channel: Channel) -> str:
        return ago(_state(channel, "sent_at"))

    @admin.display(description=_("last error"))
    def last_error(self, channel: Channel) -> str:
        return _state(channel, "error") or "–"

    def has_test_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.has_change_permission(request))

    @action(  # type: ignore[untyped-decorator]
        description=_("Send test"), url_path="test", permissions=["test"], icon="send"
    )
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = get_object_or_404(Channel.objects.defer("secret"), pk=object_id)
        if request.method != "POST":
            return _confirm(
                request,
                obj=channel,
                title=_("Send a test message"),
                question=_(
                    "A short test message goes to this channel, even when it is "
                    "disabled. Everybody who reads it there will see it."
                ),
                verb=_("Send test"),
            )
        assert isinstance(request.user, User)  # noqa: S101 the admin asks for a login
        try:
            sent = try_channel(
                channel=channel, now=timezone.now(), requested_by=request.user
            )
        except UnableToEnqueue as error:
            messages.error(request, str(error))
            return _redirect_to(channel)
        _say_result(request, sent)
        can_view = request.user.has_perm("notifications.view_notification")
        return _redirect_to(sent if can_view else channel)


class AttemptInline(TabularInline):  # type: ignore[misc]
    model = Attempt
    fields = readonly_fields = ["started_at", "outcome", "took", "detail"]
    ordering = ["pk"]
    extra = max_num = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("duration"))
    def took(self, attempt: Attempt) -> str:
        return ms(attempt.duration_ms)


class PurposeFilter(admin.SimpleListFilter):
    title = _("purpose")
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        recent = Notification.objects.filter(
            queued_at__gte=timezone.now() - timedelta(days=90)
        )
        purposes = recent.order_by("purpose").values_list("purpose", flat=True)
        return [(purpose, purpose) for purpose in purposes.distinct()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        return queryset.filter(purpose=self.value()) if self.value() else queryset


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):  # type: ignore[misc]
    inlines = [AttemptInline]
    list_display = [
        "title",
        "status_label",
        "destination",
        "purpose",
        "subject_key",
        "queued_ago",
        "attempt_count",
        "next_try",
    ]
    list_filter = ["status", PurposeFilter, "lane", "channel"]
    list_select_related = ["channel", "address__contact"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = [
        "subject_key",
        "idempotency_key",
        "outcome",
        "channel__name",
        "address__value",
        "message__title",
    ]
    ordering = ["-queued_at", "-pk"]
    actions = ["retry_selected"]
    actions_detail = ["retry_one"]
    fieldsets = [
        (None, {"fields": ["status_label", "outcome", "answer", "destination"]}),
        (_("Message"), {"fields": ["as_sent"]}),
        (
            _("Details"),
            {
                "fields": [
                    "purpose",
                    "subject_key",
                    "lane",
                    "queued_at",
                    "next_attempt_at",
                    "ended_at",
                    "expires_at",
                    "attempt_count",
                    "idempotency_key",
                ]
            },
        ),
    ]
    readonly_fields = ["status_label", "answer", "destination", "as_sent"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        queryset: QuerySet[Notification] = super().get_queryset(request)
        return queryset.select_related("channel", "address__contact").defer(
            "channel__secret"
        )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("notifications.change_notification")

    @admin.display(description=_("title"), ordering="message__title")
    def title(self, notification: Notification) -> str:
        return notification.message.get("title") or "–"

    @admin.display(description=_("status"), ordering="status")
    def status_label(self, notification: Notification) -> str:
        if notification.receipt.get("kept"):
            return _label(_("Kept, not sent"), "warning", "inbox")
        status = Notification.Status(notification.status)
        return _label(status.label, *_STATUS_SIGNS[status])

    @admin.display(description=_("to"))
    def destination(self, notification: Notification) -> str:
        if notification.address is not None:
            contact = notification.address.contact.name
            return f"{contact} ({notification.address.value})"
        return str(notification.channel)

    @admin.display(description=_("queued"), ordering="queued_at")
    def queued_ago(self, notification: Notification) -> str:
        return ago(notification.queued_at)

    @admin.display(description=_("next attempt"), ordering="next_attempt_at")
    def next_try(self, notification: Notification) -> str:
        is_waiting = notification.status == Notification.Status.QUEUED
        return ago(notification.next_attempt_at if is_waiting else None)

    @admin.display(description=_("receipt"))
    def answer(self, notification: Notification) -> str:
        return render_to_string(
            "notifications/_receipt.html", {"receipt": notification.receipt}
        )

    @admin.display(description=_("as it was sent"))
    def as_sent(self, notification: Notification) -> str:
        try:
            context = {"preview": preview(notification=notification)}
        except UnableToReadMessage:
            context = {"raw": notification.message}
        return render_to_string("notifications/_as_sent.html", context)

    @admin.action(description=_("Try again"), permissions=["retry"])
    def retry_selected(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> None:
        now, retried, left_out = timezone.now(), 0, 0
        for notification in queryset:
            try:
                retry(notification=notification, now=now)
                retried += 1
            except UnableToRetry:
                left_out += 1
        said = ngettext(
            "%(count)d notification is queued again.",
            "%(count)d notifications are queued again.",
            retried,
        ) % {"count": retried}
        messages.info(request, said)
        if left_out:
            refused = ngettext(
                "%(count)d was left out: only what was not delivered can be retried.",
                "%(count)d were left out: only what was not delivered can be retried.",
                left_out,
            ) % {"count": left_out}
            messages.warning(request, refused)

    @action(  # type: ignore[untyped-decorator]
        description=_("Try again"),
        url_path="retry",
        permissions=["retry"],
        icon="replay",
    )
    def retry_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = get_object_or_404(Notification, pk=object_id)
        if request.method != "POST":
            return _confirm(
                request,
                obj=notification,
                title=_("Try again"),
                question=_("The message is queued again and retried for 24 hours."),
                verb=_("Try again"),
            )
        try:
            retry(notification=notification, now=timezone.now())
            messages.info(request, _("The notification is queued again."))
        except UnableToRetry as error:
            messages.error(request, str(error))
        return _redirect_to(notification)


def _state(channel: Channel, name: str) -> Any:
    # A channel that nothing was sent through has no state yet.
    return getattr(getattr(channel, "state", None), name, None)


def _confirm(
    request: HttpRequest, *, obj: Model, title: Any, question: Any, verb: Any
) -> HttpResponse:
    """A page with a button, because GET changes nothing."""
    context = {
        "opts": obj._meta,
        "original": obj,
        "question": question,
        "verb": verb,
        "back_url": _page_of(obj),
    }
    return render_page(request, "notifications/confirm.html", context, title=title)


def _page_of(obj: Model) -> str:
    return reverse(f"admin:notifications_{obj._meta.model_name}_change", args=[obj.pk])


def _redirect_to(obj: Model) -> HttpResponse:
    return redirect(_page_of(obj))


def _say_result(request: HttpRequest, sent: Notification) -> None:
    if sent.receipt.get("kept"):
        messages.warning(
            request,
            _("The test was kept and not sent: no mail server is set (EMAIL_HOST)."),
        )
    elif sent.status == Notification.Status.SENT:
        answer = sent.receipt.get("answer") or "–"
        messages.success(
            request, _("The receiver took it and said: %(answer)s") % {"answer": answer}
        )
    else:
        problem = sent.outcome or sent.get_status_display()
        messages.error(
            request, _("The test was not delivered. %(problem)s") % {"problem": problem}
        )
