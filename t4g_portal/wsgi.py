"""The WSGI entry point."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from t4g_portal.trust.starting import settings_or_exit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")

settings_or_exit()
application = get_wsgi_application()
