"""Channels: what they are, whether they work, and a button that tries them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action

from notifications.admin.parts import confirm, label, redirect_to, say_result
from notifications.delivery import try_channel
from notifications.forms import ChannelForm
from notifications.models import Channel
from notifications.services import UnableToEnqueue
from notifications.validation import missing_fields
from t4g_portal.lib.admin import ManyAdmin
from t4g_portal.lib.templatetags.portal import ago


@admin.register(Channel)
class ChannelAdmin(ManyAdmin):
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
    actions = ["enable", "disable"]
    actions_detail = ["send_test", "clone_row"]

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
            return label(text=_("Not configured"), variant="warning", icon="build")
        if not channel.is_enabled:
            return label(text=_("Disabled"), variant="default", icon="block")
        if _state(channel, "error"):
            return label(text=_("Failing"), variant="danger", icon="error")
        return label(text=_("Enabled"), variant="success", icon="check")

    @admin.display(description=_("last sent"), ordering="state__sent_at")
    def last_sent(self, channel: Channel) -> str:
        return ago(_state(channel, "sent_at"))

    @admin.display(description=_("last error"))
    def last_error(self, channel: Channel) -> str:
        return _state(channel, "error") or "–"

    def bulk_faults(self, row: Any, names: Sequence[str]) -> Iterable[str]:
        if row.is_enabled:
            yield from missing_fields(
                kind=row.kind, address=row.address, has_secret=row.has_secret
            ).values()

    def has_test_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.has_change_permission(request))

    @action(  # type: ignore[untyped-decorator]
        description=_("Send test"), url_path="test", permissions=["test"], icon="send"
    )
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = cast(Channel, self.get_object(request, unquote(object_id)))
        if request.method != "POST":
            return confirm(
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
            return redirect_to(obj=channel)
        say_result(request, sent)
        can_view = request.user.has_perm("notifications.view_notification")
        return redirect_to(obj=sent if can_view else channel)


def _state(channel: Channel, name: str) -> Any:
    # A channel that nothing was sent through has no state yet.
    return getattr(getattr(channel, "state", None), name, None)
