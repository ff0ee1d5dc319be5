"""The portal itself: settings, URLs, Celery, the shell of pages and the embedded database."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`celery -A t4g_portal` asks for `celery_app`; the launcher must not load it."""
    if name == "celery_app":
        from t4g_portal.celery import app

        return app
    raise AttributeError(name)
