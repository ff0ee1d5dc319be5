"""The two small forms of the first run; the rules are the domain's own."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from incidents.editing import tell_at_once
from incidents.models import Service
from monitors.forms import MonitorForm, bind, option_names
from monitors.models import Monitor
from notifications.models import Channel
from notifications.validation import SECRET_PREFIX, missing_fields, validate_channel
from t4g_portal.lib.priority import Priority

_KIND = "http"
_SLACK_HOST = "hooks.slack.com"
_MAX_NAME = 120


class WatchForm(forms.Form):
    """A service and its address: enough for a monitor with the usual values."""

    service = forms.CharField(label=_("What is it called?"), max_length=_MAX_NAME)
    url = forms.CharField(label=_("Where does it answer?"), max_length=500)

    def __init__(self, *args: Any, may_allow_private: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._may_allow_private = may_allow_private
        self._monitor_form: MonitorForm | None = None

    def clean_url(self) -> str:
        """Add the scheme that people leave out."""
        url = str(self.cleaned_data["url"]).strip()
        return url if "://" in url else f"https://{url}"

    def clean(self) -> dict[str, Any]:
        """Ask the form of the admin, and say what it says at our fields."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        name = cleaned["service"].strip()
        self._service = Service.objects.filter(name__iexact=name).first() or Service(
            name=name, slug=_free_slug(name)
        )
        form_class = bind(kind=_KIND, may_allow_private=self._may_allow_private)
        form = form_class(data=self._usual_values(form_class, name, cleaned["url"]))
        # It may not be saved yet, and is checked here.
        form.fields.pop("service")
        for field, faults in form.errors.items():
            for fault in faults:
                self.add_error("url" if field == "target" else "service", fault)
        self._monitor_form = form
        return cleaned

    def save(self) -> Monitor:
        """Save the service, when it is new, and its monitor."""
        if self._monitor_form is None:
            raise ValueError("the form is not valid")
        with transaction.atomic():
            if self._service._state.adding:
                self._service.save()
            self._monitor_form.instance.service = self._service
            return self._monitor_form.save()

    def _usual_values(
        self, form_class: type[MonitorForm], name: str, url: str
    ) -> Mapping[str, Any]:
        """Return what the form of the admin starts with, and what was typed."""
        empty = form_class()
        usual = {
            field: empty.get_initial_for_field(empty.fields[field], field)
            for field in (*empty.fields, *option_names(_KIND))
            if field in empty.fields
        }
        return {
            **{field: value for field, value in usual.items() if value is not None},
            "name": _free_name(name, _host(url)),
            "target": url,
            "is_enabled": True,
        }


class TellForm(forms.Form):
    """Where messages go: one field, whose content says of what kind it is."""

    destination = forms.CharField(
        label=_("Slack webhook, e-mail address or webhook URL"), max_length=500
    )

    def clean_destination(self) -> str:
        """Check the destination with the rules of its kind."""
        typed = str(self.cleaned_data["destination"]).strip()
        self.kind = _kind_of(typed)
        self.address = "" if self.kind == "slack" else typed
        self.secret = {"slack": typed, "webhook": _new_secret()}.get(self.kind, "")
        problems = validate_channel(
            kind=self.kind, address=self.address, secret=self.secret
        ) or missing_fields(
            kind=self.kind, address=self.address, has_secret=bool(self.secret)
        )
        for problem in problems.values():
            raise forms.ValidationError(problem)
        return typed

    def save(self) -> Channel:
        """Save an enabled channel, and let the most urgent priority tell it.

        A channel of the guide that waits for just this is filled in; the same
        destination is not added twice.
        """
        with transaction.atomic():
            channel = self._channel()
            channel.is_enabled = True
            channel.save()
            tell_at_once(channel=channel, priority=Priority.P0)
        return channel

    def _channel(self) -> Channel:
        if self.kind == "email":
            known = Channel.objects.filter(kind="email", address=self.address).first()
            if known is not None:
                return known
        if self.kind == "slack":
            waiting = Channel.objects.filter(kind="slack", secret="").order_by("pk")
            channel = waiting.first()
            if channel is not None:
                channel.secret = self.secret
                return channel
        return Channel(
            name=self._free_name(),
            kind=self.kind,
            address=self.address,
            secret=self.secret,
        )

    def _free_name(self) -> str:
        host = _host(self.address)
        wanted = {
            "email": f"E-mail {self.address}",
            "slack": "Slack",
            "webhook": f"Webhook {host}",
        }[self.kind]
        names = set(Channel.objects.values_list("name", flat=True))
        return _free(wanted, names)


def _kind_of(typed: str) -> str:
    if "://" not in typed:
        return "email"
    return "slack" if _host(typed) == _SLACK_HOST else "webhook"


def _host(url: str) -> str:
    """Return the host of an address, empty where it has none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _free_name(name: str, host: str) -> str:
    names = set(Monitor.objects.values_list("name", flat=True))
    return name if name not in names else _free(f"{name} {host}".strip(), names)


def _free_slug(name: str) -> str:
    slugs = set(Service.objects.values_list("slug", flat=True))
    return _free(slugify(name)[:50] or "service", slugs, joint="-")


def _free(wanted: str, taken: set[str], *, joint: str = " ") -> str:
    """Return a name that nothing has yet: the wanted one, or with a number."""
    wanted = wanted[: _MAX_NAME - 5]
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}{joint}{number}" in taken:
        number += 1
    return f"{wanted}{joint}{number}"
