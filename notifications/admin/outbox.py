"""The outbox, to look at: what was sent, what waits, and the dead letters' way back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from csp.decorators import csp
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe
from unfold.admin import TabularInline
from unfold.decorators import action

from notifications.admin.parts import confirm, label, moment, redirect_to
from notifications.message import UnableToReadMessage
from notifications.models import Attempt, Notification
from notifications.preview import preview
from notifications.services import UnableToRetry, retry
from t4g_portal.lib import content_policies
from t4g_portal.lib.admin import LookOnlyAdmin
from t4g_portal.lib.templatetags.portal import ago, ms

Status = Notification.Status
_STATUS_SIGNS = {
    Status.QUEUED: ("info", "schedule"),
    Status.SENDING: ("info", "outgoing_mail"),
    Status.SENT: ("success", "check"),
    Status.DEAD: ("danger", "error"),
    Status.CANCELLED: ("default", "block"),
    Status.BUNDLED: ("success", "stack"),
}


class AttemptInline(TabularInline):  # type: ignore[misc]
    model = Attempt
    fields = readonly_fields = ["started", "outcome", "took", "detail"]
    ordering = ["pk"]
    hide_title = True
    extra = max_num = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    started = moment(name="started_at", description=_("started"))

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
class NotificationAdmin(LookOnlyAdmin):
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
    list_select_related = ["channel"]
    search_fields = [
        "subject_key",
        "idempotency_key",
        "outcome",
        "receiver",
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
                    "queued",
                    "next_attempt",
                    "ended",
                    "expires",
                    "attempt_count",
                    "idempotency_key",
                ]
            },
        ),
    ]
    readonly_fields = [
        "status_label",
        "answer",
        "destination",
        "as_sent",
        "queued",
        "next_attempt",
        "ended",
        "expires",
    ]
    queued = moment(name="queued_at", description=_("queued"))
    next_attempt = moment(name="next_attempt_at", description=_("next attempt"))
    ended = moment(name="ended_at", description=_("ended"))
    expires = moment(name="expires_at", description=_("expires"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        queryset: QuerySet[Notification] = super().get_queryset(request)
        return queryset.select_related("channel", "address").defer("channel__secret")

    def get_urls(self) -> list[URLPattern]:
        mail = path(
            "<path:object_id>/mail/",
            self.admin_site.admin_view(self.mail),
            name="notifications_notification_mail",
        )
        return [mail, *super().get_urls()]

    @method_decorator(
        [
            require_safe,
            csp(content_policies.MAIL),
            xframe_options_sameorigin,
        ]
    )
    def mail(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The mail alone, for a frame of the page: it can run and load nothing."""
        self.demand(request, "view_or_change")
        notification = cast(Notification, self.get_object(request, object_id))
        try:
            html = preview(notification=notification).html
        except UnableToReadMessage:
            html = ""
        if not html:
            raise Http404
        return HttpResponse(html)

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("notifications.change_notification")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        dead = Notification.objects.filter(pk=object_id, status=Status.DEAD)
        return super().get_actions_detail(request, object_id) if dead.exists() else []

    @admin.display(description=_("title"), ordering="message__title")
    def title(self, notification: Notification) -> str:
        return notification.message.get("title") or "–"

    @admin.display(description=_("status"), ordering="status")
    def status_label(self, notification: Notification) -> str:
        if notification.receipt.get("kept"):
            return label(text=_("Kept, not sent"), variant="warning", icon="inbox")
        status = Status(notification.status)
        variant, icon = _STATUS_SIGNS[status]
        return label(text=status.label, variant=variant, icon=icon)

    @admin.display(description=_("to"))
    def destination(self, notification: Notification) -> str:
        # An older version of the portal wrote no words.
        return notification.receiver or str(notification.channel or "–")

    @admin.display(description=_("queued"), ordering="queued_at")
    def queued_ago(self, notification: Notification) -> str:
        return ago(notification.queued_at)

    @admin.display(description=_("next attempt"), ordering="next_attempt_at")
    def next_try(self, notification: Notification) -> str:
        is_waiting = notification.status == Status.QUEUED
        return ago(notification.next_attempt_at if is_waiting else None)

    @admin.display(description=_("receipt"))
    def answer(self, notification: Notification) -> str:
        return render_to_string(
            "notifications/_receipt.html", {"receipt": notification.receipt}
        )

    @admin.display(description=_("as it was sent"))
    def as_sent(self, notification: Notification) -> str:
        try:
            context = {
                "preview": preview(notification=notification),
                "mail_url": reverse(
                    "admin:notifications_notification_mail", args=[notification.pk]
                ),
            }
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
        notification = cast(Notification, self.get_object(request, unquote(object_id)))
        if request.method != "POST":
            return confirm(
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
        return redirect_to(obj=notification)
