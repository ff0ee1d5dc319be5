"""Small parts that the admin pages of this room share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from notifications.models import Notification
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.templatetags.portal import clock


def label(*, text: Any, variant: str, icon: str) -> SafeString:
    """A state as word, color and icon."""
    return render_to_string(
        "unfold/helpers/label.html", {"text": text, "variant": variant, "icon": icon}
    )


def moment(*, name: str, description: Any) -> Any:
    """A column or field that says a moment to the second."""

    @admin.display(description=description, ordering=name)
    def show(self: Any, obj: Model) -> str:
        return clock(getattr(obj, name))

    return show


def confirm(
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


def redirect_to(*, obj: Model) -> HttpResponse:
    """Go to the admin page of an object of this room."""
    return redirect(_page_of(obj))


def say_result(request: HttpRequest, sent: Notification) -> None:
    """Say what became of a test."""
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
