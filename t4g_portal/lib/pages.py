"""Pages inside the admin's shell."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    title: str,
    status: int = 200,
) -> HttpResponse:
    """Render a template that extends `admin/base.html`, with the shell's context."""
    shell = admin.site.each_context(request)
    return render(
        request, template, {**shell, "title": title, **context}, status=status
    )
