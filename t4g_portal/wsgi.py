"""The WSGI entry point."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from t4g_portal.trust.starting import settings_or_exit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")

settings_or_exit()
application = get_wsgi_application()

# Every address now: nobody's first click waits for the admin to be read.
_ = get_resolver().url_patterns
# What stays for ever need not be looked through for garbage: a collection of all of it
# took longer than most pages.
gc.collect()
gc.freeze()
