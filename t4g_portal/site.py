"""The admin's site: Unfold's, without what no page of ours shows or asks for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class PortalSite(UnfoldAdminSite):  # type: ignore[misc]
    """Builds Django's list of tables for those pages only that read it.

    Every page gets the list for Django's own sidebar, in whose place ours stands.
    """

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the apps and tables that somebody may look at, once it is read."""
        build = super().get_app_list
        return SimpleLazyObject(lambda: build(request, app_label))

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Return our navigation as it is: made anew for each page, and checked.

        Unfold would copy all of it and look for callbacks and tabs that it hasn't.
        """
        groups: list[dict[str, Any]] = self._get_value(
            self._get_config("SIDEBAR", request).get("navigation"), request
        )
        for group in groups:
            for item in group["items"]:
                item["has_permission"] = True
        return groups
