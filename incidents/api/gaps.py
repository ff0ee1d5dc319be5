"""An edit that leaves time with nobody on call is refused until somebody means it."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from t4g_portal.lib.api.problems import QueryInvalid

MAY_LEAVE_GAP = OpenApiParameter(
    "may_leave_gap",
    OpenApiTypes.BOOL,
    description="Whether time that has somebody may be left with nobody on call. Without"
    " it such an edit is refused (409), and the answer says when nobody would be.",
)


def may_leave_gap(request: Request) -> bool:
    """Return whether a gap is meant; raises QueryInvalid."""
    text = request.query_params.get("may_leave_gap", "false")
    if text not in {"true", "false"}:
        raise QueryInvalid({"may_leave_gap": _("Write true or false.")})
    return text == "true"
