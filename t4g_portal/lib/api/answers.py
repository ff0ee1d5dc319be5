"""A JSON answer, written straight to bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse


class JsonAnswer(HttpResponse):
    """What a resource answers with."""

    def __init__(
        self, data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        # NaN is no JSON: whoever lets one through learns of it here.
        text = json.dumps(
            data, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        super().__init__(
            text.encode(),
            status=status,
            content_type="application/json",
            headers=dict(headers or {}),
        )
