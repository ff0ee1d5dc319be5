"""What an error report may show: where it broke, never what it worked on.

Local variables hold what people typed and what was decrypted, under any name. So a report,
on the page that DEBUG shows or in a mail, has of each only what can't be a secret.
"""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

_PLAIN = (bool, int, float, Decimal, date, time, timedelta, type(None))
# user:password@ of an address.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


class ReportFilter(SafeExceptionReporterFilter):
    """Active with DEBUG on as well."""

    hidden_settings = re.compile(
        r"API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|SESSION|CSRF|DSN"
        r"|DATABASE_URL|REDIS_URL|BROKER_URL|RESULT_BACKEND",
        flags=re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return _CREDENTIALS.sub(f"{self.cleansed_substitute}@", cleansed)
        return cleansed

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        return dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: Any
    ) -> Any:
        return [
            (name, _shown(value))
            for name, value in tb_frame.f_locals.items()
            if not name.startswith("__")
        ]


def _shown(value: Any) -> Any:
    """Return what can't be a secret as it is, of everything else what kind it is."""
    if isinstance(value, _PLAIN):
        return value
    kind = type(value).__name__
    if isinstance(value, Model):
        return f"<{kind} {value.pk}>"
    if isinstance(value, str | bytes | list | tuple | dict | set):
        return f"<{kind} of {len(value)}>"
    return f"<{kind}>"
