"""Settings of the test suite: the real ones, with cheaper passwords and static files."""

from __future__ import annotations

from t4g_portal.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# Messages are read back in the tests, in the language the tests are written in.
PORTAL_LANGUAGE = "en"
CELERY_TASK_ALWAYS_EAGER = False
