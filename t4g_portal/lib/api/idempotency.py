"""`Idempotency-Key`: a POST that was sent twice is done once.

The key's row is written in the transaction of the work, so that both are there or
neither; a second request with the key waits for the first one's end. After
draft-ietf-httpapi-idempotency-key-header-06.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from t4g_portal.lib.api.problems import Refused
from t4g_portal.lib.models import IdempotentAnswer

# Also the pattern in the schema. Space is left out: clients disagree about its ends.
KEY = r"^[\x21-\x7e]{1,200}$"
KEPT = timedelta(days=1)
_FORM = re.compile(KEY)
_KEPT_HEADERS = ("Location", "ETag")
_CLAIM = """
INSERT INTO cellar_idempotentanswer
       (owner_id, key, fingerprint, status, headers, body, created_at)
VALUES (%(owner)s, %(key)s, %(fingerprint)s, NULL, '{}', '', %(now)s)
ON CONFLICT (owner_id, key) DO NOTHING
"""
_FORGET = """
DELETE FROM cellar_idempotentanswer WHERE id IN (
    SELECT id FROM cellar_idempotentanswer WHERE created_at < %(before)s
     ORDER BY created_at LIMIT 50 FOR UPDATE SKIP LOCKED)
"""

Handler = Callable[..., HttpResponse]


def idempotent(handler: Handler) -> Handler:
    """Answer a view's POST again, word for word, when its key comes again."""

    @wraps(handler)
    def once(view: Any, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not _FORM.fullmatch(key):
            raise Refused(
                status=400,
                slug="malformed",
                detail=_(
                    "Send up to 200 printable ASCII characters as the Idempotency-Key."
                ),
                errors=[
                    {"header": "Idempotency-Key", "detail": _("This is no such key.")}
                ],
            )
        with transaction.atomic():
            if _claim(request, key):
                answer = handler(view, request, *args, **kwargs)
                _keep(request, key, answer)
                return answer
        return _again(request, key)

    once.is_idempotent = True  # type: ignore[attr-defined]
    return once


def _claim(request: Any, key: str) -> bool:
    """Take the key; False when it was taken before, after waiting for that one's end."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"before": now - KEPT})
        cursor.execute(
            _CLAIM,
            {
                "owner": request.user.pk,
                "key": key,
                "fingerprint": _fingerprint(request),
                "now": now,
            },
        )
        return bool(cursor.rowcount)


def _keep(request: Any, key: str, answer: HttpResponse) -> None:
    IdempotentAnswer.objects.filter(owner_id=request.user.pk, key=key).update(
        status=answer.status_code,
        headers={name: answer[name] for name in _KEPT_HEADERS if name in answer},
        body=answer.content.decode(),
    )


def _again(request: Any, key: str) -> HttpResponse:
    kept = IdempotentAnswer.objects.get(owner_id=request.user.pk, key=key)
    if kept.fingerprint != _fingerprint(request):
        raise Refused(
            status=422,
            slug="key-reused",
            detail=_(
                "This Idempotency-Key was sent with another request. Make a new one."
            ),
        )
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return HttpResponse(
        kept.body,
        status=kept.status or 200,
        content_type="application/json",
        headers=headers,
    )


def _fingerprint(request: Any) -> str:
    asked = json.dumps([request.method, request.path, request.data], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
