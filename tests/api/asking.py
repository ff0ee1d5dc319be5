"""Asking the API as a program does: with a key, in JSON."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from t4g_portal.lib.api.keys import KeyParts, new_key
from t4g_portal.lib.api.scopes import scope_names
from t4g_portal.lib.models import ApiKey
from tests.factories import make_user


def make_key(**values: Any) -> tuple[ApiKey, KeyParts]:
    """A key with every scope of a superuser, unless told otherwise, and its secret."""
    parts = new_key()
    if "owner" not in values:
        values["owner"] = make_user(is_superuser=True)
    values.setdefault("name", f"key {parts.key_id}")
    values.setdefault("scopes", scope_names())
    row = ApiKey.objects.create(key_id=parts.key_id, digest=parts.digest, **values)
    return row, parts


def allow(user: User, *permissions: str) -> User:
    """Give a person some permissions ("app.codename")."""
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


class Api:
    """A client with a key; `path` is what follows /api/v1/."""

    def __init__(self, key: str = "", **key_values: Any) -> None:
        self.client = Client()
        self.key = key or make_key(**key_values)[1].text

    def ask(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> Any:
        """Send a request; `If_Match="…"` is the header If-Match."""
        if raw is None:
            raw = b"" if data is None else json.dumps(data).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method,
            f"/api/v1/{path}",
            raw,
            content_type=named.pop("Content-Type", "application/json"),
            headers={"Authorization": f"Bearer {self.key}", **named},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, raw=b"", **headers)

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, data, raw=None, **headers)

    def patch(self, path: str, data: Any, **headers: str) -> Any:
        return self.ask("PATCH", path, data, raw=None, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.ask("DELETE", path, raw=b"", **headers)
