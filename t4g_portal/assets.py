"""What the shell asks of each request: its title, styles, scripts and mark."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static


def site_title(request: HttpRequest) -> str:
    """Return whose portal this is, for the sidebar and the browser's tab."""
    return str(settings.PORTAL_NAME)


def stylesheet(request: HttpRequest) -> str:
    """Return the address of what the portal adds to Unfold's styles."""
    return static("portal/portal.css")


def paper_stylesheet(request: HttpRequest) -> str:
    """Return the address of how every page looks on paper."""
    return static("portal/paper.css")


def live_script(request: HttpRequest) -> str:
    """Return the address of what keeps pages fresh."""
    return static("portal/live.js")


def tips_script(request: HttpRequest) -> str:
    """Return the address of what shows the words behind pictures."""
    return static("portal/tips.js")


def shell_script(request: HttpRequest) -> str:
    """Return the address of the small things of every page."""
    return static("portal/shell.js")


def icon(request: HttpRequest) -> str:
    """Return the address of the mark beside the name, and of the tab's icon."""
    return static("portal/mark.svg")
