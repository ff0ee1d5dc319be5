"""Secrets at rest: encrypted, each bound to the row that it belongs to."""

from __future__ import annotations

from t4g_portal.lib.secrets.field import EncryptedTextField, Sealed, has_secret
from t4g_portal.lib.secrets.sealing import UnableToDecrypt, decrypt, encrypt

__all__ = [
    "EncryptedTextField",
    "Sealed",
    "UnableToDecrypt",
    "decrypt",
    "encrypt",
    "has_secret",
]
