"""Keys for the API: made here, shown once, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
)

from t4g_portal.lib.admin import PortalAdmin
from t4g_portal.lib.api import issuing
from t4g_portal.lib.api.keys import PREFIX
from t4g_portal.lib.api.scopes import scope_choices
from t4g_portal.lib.models import ApiKey
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import ago, clock

_VALID_DAYS = (
    (30, _("30 days")),
    (90, _("90 days")),
    (365, _("1 year")),
    (0, _("until it is revoked")),
)


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a key is for."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=scope_choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("The least that does the job. Writing does not include reading."),
        error_messages={"required": _("Choose at least one scope.")},
    )

    class Meta:
        model = ApiKey
        fields = ["name", "owner", "scopes"]

    owner_asking: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "owner" in self.fields:
            self.fields["owner"].initial = self.owner_asking.pk
        elif self.instance.pk is None:
            self.instance.owner = self.owner_asking

    def clean(self) -> dict[str, Any]:
        """Check that the owner can tell the key from their others by its name."""
        cleaned = super().clean() or self.cleaned_data
        owner = cleaned.get("owner")
        same = ApiKey.objects.filter(
            owner=owner.pk if owner else self.instance.owner_id,
            name=cleaned.get("name", ""),
            revoked_at__isnull=True,
        ).exclude(pk=self.instance.pk)
        if same.exists():
            self.add_error("name", _("There is a key of this name. Choose another."))
        return cleaned


class NewKeyForm(KeyForm):
    """And for how long."""

    valid_days = forms.TypedChoiceField(
        label=_("Valid for"),
        choices=_VALID_DAYS,
        coerce=int,
        initial=365,
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(ApiKey)
class ApiKeyAdmin(PortalAdmin):
    """Everybody has their own; superusers have all, and auditors look at all."""

    list_display = ["name", "shown_key", "owner", "state", "last_used", "expires"]
    list_select_related = ["owner", "use"]
    search_fields = ["name", "key_id", "owner__username"]
    ordering = ["-created_at"]
    actions = ["revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = super().get_queryset(request)
        keys = keys.select_related("owner", "use")
        may_see_all = request.user.is_superuser or not self.has_change_permission(
            request
        )
        return keys if may_see_all else keys.filter(owner=request.user.pk)

    def get_form(
        self,
        request: HttpRequest,
        obj: ApiKey | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        base = KeyForm if obj else NewKeyForm
        kwargs["form"] = type(base.__name__, (base,), {"owner_asking": request.user})
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["name", *self._owner(request), "scopes", "valid_days"]
        shown = ["shown_key", "owner", "created", "expires", "last_used", "revoked"]
        return ["name", "scopes", *shown]

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> Any:
        if obj is None:
            return []
        return ["shown_key", "owner", "created", "expires", "last_used", "revoked"]

    def _owner(self, request: HttpRequest) -> list[str]:
        # For somebody else only who may do anything anyway: a key is its owner's power.
        return ["owner"] if request.user.is_superuser else []

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: Any, change: bool
    ) -> None:
        """Make the key; its text is shown by `response_add`, once."""
        if change:
            super().save_model(request, obj, form, change)
            return
        days = form.cleaned_data["valid_days"]
        row, text = issuing.issue(
            owner=obj.owner,
            name=obj.name,
            scopes=form.cleaned_data["scopes"],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        obj.pk, obj.key_id, obj.digest = row.pk, row.key_id, row.digest
        obj.expires_at, obj.created_at = row.expires_at, row.created_at
        obj._state.adding = False
        form.new_text = text

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        # Kept for `response_add`: Django hands the form to nobody after saving.
        self_request: Any = request
        self_request.key_form = form
        return super().save_form(request, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the key. It is in this answer only: no session, message or log has it."""
        text = request.key_form.new_text  # type: ignore[attr-defined]
        # Django has marked it as nothing to be kept, like every form of the admin.
        return render_page(
            request,
            "admin/cellar/apikey/shown_once.html",
            {"key": obj, "text": text, "opts": self.opts},
            title=str(_("Your new key")),
        )

    @admin.display(description=_("key"))
    def shown_key(self, key: ApiKey) -> str:
        return f"{PREFIX}_{key.key_id}_…"

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> Any:
        return {
            "valid": _("Valid"),
            "expired": _("Expired"),
            "revoked": _("Revoked"),
        }[key.state_at(timezone.now())]

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, key: ApiKey) -> str:
        return clock(key.created_at)

    @admin.display(description=_("expires"), ordering="expires_at")
    def expires(self, key: ApiKey) -> Any:
        return clock(key.expires_at) if key.expires_at else _("never")

    @admin.display(description=_("last used"), ordering="use__last_used_at")
    def last_used(self, key: ApiKey) -> Any:
        use = getattr(key, "use", None)
        return ago(use.last_used_at) if use else _("never")

    @admin.display(description=_("revoked"))
    def revoked(self, key: ApiKey) -> str:
        return clock(key.revoked_at) if key.revoked_at else "–"

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        numbers = list(queryset.values_list("pk", flat=True))
        count = issuing.revoke(keys=numbers, now=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d key revoked.", "%(count)d keys revoked.", count)
            % {"count": count},
            messages.SUCCESS,
        )
