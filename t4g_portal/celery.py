"""The Celery application. Its beat schedule is static and stands in settings."""

from __future__ import annotations

import os

from celery import Celery

from t4g_portal.trust.starting import settings_or_exit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")

settings_or_exit()
app = Celery("t4g_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
