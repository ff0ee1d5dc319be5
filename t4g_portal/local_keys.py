"""Keys of a development copy, made once and kept in the data directory.

Production never gets a made-up key: it refuses to start instead.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

DATA_KEY_BYTES = 32


def secret_key(*, data_dir: Path, is_production: bool) -> str:
    """Return the signing key kept in `data_dir`, made at the first call.

    Raises ImproperlyConfigured in production, where SECRET_KEY must be set.
    """
    if is_production:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Production needs one of its own; make a value with: "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
    return _kept(
        data_dir / "keys" / "secret_key.txt", lambda: secrets.token_urlsafe(50)
    )


def data_keys(*, data_dir: Path, is_production: bool) -> str:
    """Return the encryption keys kept in `data_dir`, as `id:base64url` of 32 bytes.

    Several are separated by commas; the first one writes. Raises
    ImproperlyConfigured in production, where PORTAL_DATA_KEYS must be set.
    """
    if is_production:
        raise ImproperlyConfigured(
            "PORTAL_DATA_KEYS is not set. Secrets at rest are encrypted with it; make a "
            "value with: python -c 'import base64, secrets; "
            'print("k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())\''
            " and keep it apart from the backups."
        )
    return _kept(data_dir / "keys" / "data_keys.txt", _new_data_key)


def _new_data_key() -> str:
    key = base64.urlsafe_b64encode(secrets.token_bytes(DATA_KEY_BYTES)).decode()
    return f"k1:{key}"


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Read the key at `path`, or make it so that racing processes agree on one."""
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    # mkstemp makes 0600 files; the link appears complete or not at all.
    handle, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(make() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
    return _read(path)


def _read(path: Path) -> str:
    key = path.read_text().strip()
    if not key:
        raise ImproperlyConfigured(
            f"{path} is empty. Restore it from a backup, or delete it to get a new key."
        )
    return key
