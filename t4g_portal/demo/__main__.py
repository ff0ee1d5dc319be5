"""`python -m t4g_portal.demo`, which `make demo` runs: the launcher, with its own world."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from t4g_portal import launcher
from t4g_portal.demo import certificates, marking

_PORT = "8100"
# What belongs to a real portal must not leak in here from the environment.
_DROPPED = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PORTAL_DATA_KEYS", "PORTAL_URL"),
    *("EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "EMAIL_USE_SSL", "STATIC_ROOT"),
    *("ALLOWED_HOSTS", "EGRESS_ALLOWED_NETWORKS", "PORTAL_ENV"),
)


def main() -> None:
    """Become the launcher of a demo; SystemExit says what is in the way."""
    base = launcher.BASE_DIR
    data_dir = base / (os.environ.get("PORTAL_DATA_DIR") or "var/demo")
    is_production = os.environ.get("PORTAL_ENV") == "production"
    try:
        marking.check(data_dir=data_dir, is_demo=True, is_production=is_production)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    for name in _DROPPED:
        os.environ.pop(name, None)
    ports = marking.choose_ports(data_dir)
    os.environ.update(
        PORTAL_DEMO="on",
        PORTAL_DATA_DIR=str(data_dir),
        PORTAL_ENV_FILE=os.devnull,
        PORTAL_SEED="off",
        PORTAL_NAME=os.environ.get("PORTAL_NAME") or "Demo shop",
        PORTAL_LANGUAGE=os.environ.get("PORTAL_LANGUAGE") or _language(),
        PORT=os.environ.get("PORT") or _PORT,
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=str(ports.mail),
        EMAIL_USE_TLS="off",
        # Its own authority is all that the demo's probes need to trust.
        SSL_CERT_FILE=str(certificates.authority_file(data_dir)),
    )
    program = [sys.executable, "-m", "t4g_portal.launcher"]
    os.chdir(Path(base))
    os.execv(program[0], program)  # noqa: S606


def _language() -> str:
    """Return the language of messages: French where the terminal speaks it."""
    return "fr" if os.environ.get("LANG", "").startswith("fr") else "en"


if __name__ == "__main__":
    main()
