"""The portal itself: settings, URLs, Celery, the shell of pages and the embedded database."""

from __future__ import annotations

from t4g_portal.celery import app as celery_app

__all__ = ["celery_app"]
