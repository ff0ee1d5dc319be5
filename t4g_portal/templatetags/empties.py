"""`{% load empties %}`: what an empty list of the admin says."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList
from django.template import RequestContext

from t4g_portal.empties import empty_of, first_step

register = template.Library()


@register.inclusion_tag("admin/_empty.html", takes_context=True)
def empty_list(context: RequestContext, cl: ChangeList) -> dict[str, Any]:
    """Say what appears in a list without rows, or that no row matches."""
    # Unfold's list hands down the context's request, but not the variable.
    request = context.request
    empty = empty_of(cl.opts.label_lower)
    return {
        "is_filtered": bool(cl.query or cl.has_active_filters or cl.params),
        "words": empty.words,
        "step": first_step(empty=empty, request=request),
        "name": cl.opts.verbose_name,
        "add_url": (
            f"admin:{cl.opts.app_label}_{cl.opts.model_name}_add"
            if cl.model_admin.has_add_permission(request)
            else ""
        ),
    }
