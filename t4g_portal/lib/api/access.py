"""What a view asks for: a scope of the key, and a permission of the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from t4g_portal.lib.access import PermissionMissing
from t4g_portal.lib.api.problems import ScopeMissing
from t4g_portal.lib.models import ApiKey


@dataclass(frozen=True, slots=True)
class Access:
    """Both are needed: the scope by a key ("monitors:read"), the permission by anybody."""

    scope: str
    permission: str


class HasAccess(BasePermission):
    """Lets through who has what the view's `access` names for the act.

    An act without an entry is closed to everybody.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raise ScopeMissing or PermissionMissing; False: not signed in, or closed."""
        action = view.action
        if not request.user.is_authenticated:
            return False
        if action is None:
            # No such method here: the view says 405.
            return True
        access = view.access.get(action)
        if access is None:
            return False
        demand(request, access)
        return True


def demand(request: Request, access: Access) -> None:
    """Raise ScopeMissing or PermissionMissing; for views that need a second access."""
    key = request.auth
    if isinstance(key, ApiKey) and access.scope not in key.scopes:
        raise ScopeMissing(access.scope)
    if not request.user.has_perm(access.permission):
        raise PermissionMissing(access.permission)


def access_of(callback: Any, method: str) -> Access | None:
    """Return what an address asks for with a method; None when it has no such method.

    `callback` is what Django's resolver finds. For the test that walks every address.
    """
    action = getattr(callback, "actions", {}).get(method.lower())
    if action is None:
        return None
    found: Access = callback.cls.access[action]
    return found
