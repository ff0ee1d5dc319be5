"""How a program starts: with settings that hold, or with a sentence and an exit code."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# sysexits.h: something was found in an unconfigured or misconfigured state.
EX_CONFIG = 78


def settings_or_exit() -> None:
    """Read the settings; when they refuse, say why and end the process.

    A traceback of imports would hide the sentence that tells what to do.
    """
    try:
        settings.INSTALLED_APPS  # noqa: B018 the first look reads them
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EX_CONFIG)
