"""Who asks: a key in the Authorization header, or a browser that is signed in."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from t4g_portal.lib.api.keys import read_key
from t4g_portal.lib.models import ApiKey

# The last use is written this often at most.
_USE_EVERY = timedelta(minutes=1)
# One row each, whoever comes first within the minute.
_NOTE_USE = """
INSERT INTO cellar_apikeyuse (key_id, last_used_at) VALUES (%(key)s, %(now)s)
ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
 WHERE cellar_apikeyuse.last_used_at <= %(before)s
"""

# In the order of the models' columns, as `from_db` has it.
_KEY = (
    *("id", "key_id", "digest", "name", "owner_id", "scopes"),
    *("expires_at", "revoked_at"),
)
_OWNER = ("id", "is_superuser", "username", "first_name", "last_name", "is_active")
# One question for all that a request needs to know of who asks, written out because the
# ORM takes longer to word it than the database to answer. The permissions are those of
# Django's ModelBackend, which a test holds against it.
_WHO = f"""
SELECT {", ".join(f"key.{name}" for name in _KEY)},
       {", ".join(f"owner.{name}" for name in _OWNER)},
       used.last_used_at,
       CASE WHEN owner.is_superuser THEN NULL ELSE ARRAY(
           SELECT type.app_label || '.' || permission.codename
             FROM auth_permission permission
             JOIN django_content_type type ON type.id = permission.content_type_id
            WHERE permission.id IN (
                SELECT permission_id FROM auth_user_user_permissions
                 WHERE user_id = owner.id
                 UNION ALL
                SELECT given.permission_id
                  FROM auth_user_groups member
                  JOIN auth_group_permissions given USING (group_id)
                 WHERE member.user_id = owner.id)
       ) END
  FROM cellar_apikey key
  JOIN auth_user owner ON owner.id = key.owner_id
  LEFT JOIN cellar_apikeyuse used ON used.key_id = key.id
 WHERE key.key_id = %s
"""  # noqa: S608 only constants go in


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer t4g_…`; the person is the key's owner."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        """Return the owner and the key; None without the header; raises on a bad one."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        kind, _space, text = header.strip().partition(" ")
        if kind.lower() != "bearer":
            raise AuthenticationFailed(
                _("Send your key as: Authorization: Bearer t4g_…")
            )
        key = _check(text.strip(), timezone.now())
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return 'Bearer realm="T4G portal"'


class BrowserAuthentication(SessionAuthentication):
    """The session of the pages, with their CSRF token; for the page /api/docs/."""


def _check(text: str, now: datetime) -> ApiKey:
    parts = read_key(text)
    if parts is None:
        raise AuthenticationFailed(
            _("This is no key of ours. Copy it whole: it starts with t4g_.")
        )
    key, last_used_at = _find(parts.key_id)
    digest = key.digest if key is not None else ""
    # Compared in any case, so that the time tells nothing of which ids exist.
    is_right = hmac.compare_digest(digest, parts.digest)
    if key is None or not is_right:
        raise AuthenticationFailed(_("Nobody has this key. Perhaps it was deleted."))
    match key.state_at(now):
        case "revoked":
            raise AuthenticationFailed(_("This key is revoked. Ask for a new one."))
        case "expired":
            raise AuthenticationFailed(_("This key has expired. Ask for a new one."))
    if not key.owner.is_active:
        raise AuthenticationFailed(_("The owner of this key may not sign in any more."))
    _note_use(key, last_used_at, now)
    return key


def _find(key_id: str) -> tuple[ApiKey | None, datetime | None]:
    """Return a key with its owner and their permissions, and its last use."""
    with connection.cursor() as cursor:
        cursor.execute(_WHO, [key_id])
        row = cursor.fetchone()
    if row is None:
        return None, None
    *of_key, last_used_at, permissions = row[: len(_KEY)] + row[-2:]
    of_owner = row[len(_KEY) : -2]
    owner = User.from_db(connection.alias, _OWNER, of_owner)
    # Where Django's own backend looks first, so that `has_perm` asks nobody again.
    owner._perm_cache = set(permissions or ())  # type: ignore[attr-defined]
    key = ApiKey.from_db(connection.alias, _KEY, of_key)
    key.owner = owner
    return key, last_used_at


def _note_use(key: ApiKey, last_used_at: datetime | None, now: datetime) -> None:
    before = now - _USE_EVERY
    if last_used_at is not None and last_used_at > before:
        return
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_USE, {"key": key.pk, "now": now, "before": before})


class _KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = KeyAuthentication
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "t4g_<id>_<secret>",
            "description": "A key made in the admin: Access, API keys.",
        }


class _BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BrowserAuthentication
    name = "browser"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Signed in to the portal; writing needs X-CSRFToken.",
        }
