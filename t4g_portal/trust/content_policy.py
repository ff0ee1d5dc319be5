"""Gives each answer its content policy.

Every answer gets the strict policy of public pages. Only a page in the admin's shell
gets the shell's: its context marks the request.
"""

from __future__ import annotations

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from csp.utils import build_policy
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from t4g_portal.lib import content_policies

_HEADER = "Content-Security-Policy"
_PUBLIC = build_policy(content_policies.PUBLIC)


def in_shell(request: HttpRequest) -> dict[str, Any]:
    """Mark a request whose answer is a page in the shell; Unfold's GLOBAL_CALLBACK."""
    request.is_in_shell = True  # type: ignore[attr-defined]
    return {}


def _is_ordinary(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether nobody asked for a nonce, the shell, or a policy of a view's own."""
    return not (
        hasattr(request, "_csp_nonce")
        or hasattr(request, "is_in_shell")
        or any(name.startswith("_csp_") for name in vars(response))
    )


class ContentPolicyMiddleware(CSPMiddleware):
    """Picks the policy; a view's own (`csp.decorators`) goes before both."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the policy, and where breaches of it are reported."""
        if _is_ordinary(request, response):
            # What django-csp would build anew: a quarter of what a ping costs.
            response.headers.setdefault(_HEADER, _PUBLIC)
            response.headers.setdefault(
                "Reporting-Endpoints", content_policies.REPORTING_ENDPOINTS
            )
            return response
        answer: HttpResponseBase = super().process_response(request, response)
        answer.headers.setdefault(
            "Reporting-Endpoints", content_policies.REPORTING_ENDPOINTS
        )
        return answer

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,
    ) -> PolicyParts:
        """Return django-csp's parts, with the shell's policy for a page in it."""
        parts = super().get_policy_parts(request, response, report_only)
        if (
            parts.config is None
            and not report_only
            and getattr(request, "is_in_shell", False)
        ):
            parts.config = content_policies.SHELL
        return parts
