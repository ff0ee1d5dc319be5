"""Settings of the test suite: the real ones, with cheaper passwords and static files."""

from __future__ import annotations

import os
from pathlib import Path

# Before the settings are read: a bare `pytest` finds its own data directory.
os.environ.setdefault("PORTAL_ENV_FILE", os.devnull)
os.environ.setdefault(
    "PORTAL_DATA_DIR", str(Path(__file__).resolve().parent.parent / "var" / "test")
)
os.environ.setdefault("PORTAL_DB_FAST", "1")

from t4g_portal.settings import *  # noqa: F403
from t4g_portal.settings import MIDDLEWARE as ALL_MIDDLEWARE

# Static files are collected for real in the flow tests only.
MIDDLEWARE = [name for name in ALL_MIDDLEWARE if not name.startswith("whitenoise")]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Messages are read back in the tests, in the language the tests are written in.
PORTAL_LANGUAGE = "en"
# What a test changes is on the status page at once.
STATUS_PAGE_KEPT_S = 0
# A test's wake-up calls reach no worker.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT = None
CELERY_BROKER_TRANSPORT_OPTIONS = {}
