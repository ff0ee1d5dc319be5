"""The Celery application. Its beat schedule is static and stands in settings."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.signals import bind_extra_task_metadata
from django_structlog.celery.steps import DjangoStructLogInitStep
from structlog.contextvars import bind_contextvars

from t4g_portal.trust.starting import settings_or_exit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")

settings_or_exit()
app = Celery("t4g_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def _log_like_the_rest(**_: Any) -> None:
    """Keep Celery from setting up a log of its own, in worker and beat."""
    logging.config.dictConfig(settings.LOGGING)


@bind_extra_task_metadata.connect
def _name_the_task(task: Any, **_: Any) -> None:
    bind_contextvars(task=task.name)
