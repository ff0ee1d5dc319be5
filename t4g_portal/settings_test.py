"""Settings of the test suite: the real ones, with cheaper passwords and static files."""

from __future__ import annotations

from typing import Any

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
# A test's wake-up calls reach no worker.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
