"""The admin's actions on several monitors, from the pages where people look at them.

The actions, their permissions and their history are the admin's; this is another door.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from monitors.models import Monitor

_MAX_CHOSEN = 1000
# Deleting asks in the admin, where it says what goes along.
_LEFT_OUT = {"delete_selected"}


def choices(request: HttpRequest) -> list[tuple[str, str]]:
    """Return (name, label) of what the reader may do with several monitors."""
    if not request.user.has_perm("monitors.change_monitor"):
        return []
    model_admin = admin.site.get_model_admin(Monitor)
    return [
        (name, str(label))
        for name, label in model_admin.get_action_choices(request, default_choices=[])
        if name and name not in _LEFT_OUT
    ]


def perform(request: HttpRequest) -> HttpResponse | None:
    """Do `action` with the monitors chosen; return the admin's answer, if it has one."""
    model_admin = admin.site.get_model_admin(Monitor)
    actions: dict[str, Any] = model_admin.get_actions(request)
    name = request.POST.get("action", "")
    ids = [
        int(value)
        for value in request.POST.getlist(ACTION_CHECKBOX_NAME)[:_MAX_CHOSEN]
        if value.isdecimal() and len(value) < 19
    ]
    if name not in actions or name in _LEFT_OUT:
        messages.error(request, _("Choose what to do with the monitors."))
        return None
    if not ids:
        messages.warning(request, _("Choose at least one monitor."))
        return None
    act: Any = actions[name][0]
    found = model_admin.get_queryset(request).filter(pk__in=ids)
    answer: HttpResponse | None = act(model_admin, request, found)
    return answer
