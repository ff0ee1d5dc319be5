"""How the shell of every signed-in page looks: django-unfold's settings.

Read with the settings by every process, so it imports nothing.
"""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "t4g_portal.assets.site_title",
    "SITE_HEADER": "t4g_portal.assets.site_title",
    "SITE_ICON": "t4g_portal.assets.icon",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "t4g_portal.assets.icon"}
    ],
    "SITE_URL": "/",
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "8px",
    "STYLES": [
        "t4g_portal.assets.stylesheet",
        "t4g_portal.assets.paper_stylesheet",
    ],
    "SCRIPTS": [
        "t4g_portal.assets.shell_script",
        "t4g_portal.assets.live_script",
        "t4g_portal.assets.tips_script",
    ],
    "GLOBAL_CALLBACK": "t4g_portal.trust.content_policy.in_shell",
    "LOGIN": {"form": "t4g_portal.trust.login_form.LoginForm"},
    "SIDEBAR": {
        "show_search": False,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "t4g_portal.navigation.sidebar",
    },
    "COLORS": {
        # Slate, a little warmer than Unfold's own, so that state colors stand out.
        "base": {
            "50": "#f8f9fa",
            "100": "#f1f3f5",
            "200": "#e3e7eb",
            "300": "#cdd3da",
            "400": "#939ca8",
            "500": "#68727f",
            "600": "#4b5563",
            "700": "#374151",
            "800": "#232b36",
            "900": "#151b23",
            "950": "#0d1117",
        },
        # Ink blue for links and buttons; never a state.
        "primary": {
            "50": "#eef2ff",
            "100": "#e0e7ff",
            "200": "#c7d2fe",
            "300": "#a5b4fc",
            "400": "#8b9bf8",
            "500": "#8391f5",
            "600": "#4653c9",
            "700": "#3b46a8",
            "800": "#333c88",
            "900": "#2d356d",
            "950": "#1b2040",
        },
    },
}
