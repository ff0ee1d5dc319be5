"""Reading JSON that the rest of the house can trust.

Refused here, once: bodies too long or too deep, numbers that no column holds, NaN, NUL,
half of a surrogate pair, a name that stands twice. What is left fits the database.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 20


class BodyTooLarge(APIException):
    """The body has more bytes than a resource takes."""

    status_code = 413

    def __init__(self) -> None:
        super().__init__(
            _("The body is longer than %(limit)d KiB. Send less at once.")
            % {"limit": MAX_BODY_BYTES // 1024}
        )


class LengthMissing(APIException):
    """A chunked body whose end the web server does not mark."""

    status_code = 411

    def __init__(self) -> None:
        super().__init__(_("Send the length of the body (Content-Length)."))


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 has it."""

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value; raises ParseError and BodyTooLarge."""
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        return read_json(body)


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text; raises ParseError with what to do."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise ParseError(_("The body is not UTF-8.")) from error
    except RecursionError as error:
        raise ParseError(_too_deep()) from error
    except ValueError as error:
        raise ParseError(_("The body is not JSON: %(why)s") % {"why": error}) from error
    _check(value, depth=0)
    return value


def unchunk(request: HttpRequest) -> None:
    """Give a chunked body the length that WSGI needs; raises LengthMissing, BodyTooLarge."""
    if request.META.get("CONTENT_LENGTH") or not request.META.get(
        "HTTP_TRANSFER_ENCODING"
    ):
        return
    # Only where the server marks the end may we read to it.
    if not request.META.get("wsgi.input_terminated", False):
        raise LengthMissing
    body = request.META["wsgi.input"].read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError(_("a name stands twice in one object"))
    return value


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(_("%(text)s is too large") % {"text": text[:40]})
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(_("%(text)s is no number") % {"text": text})


def _check(value: Any, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(_too_deep())
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            _check_text(name)
            _check(part, depth=depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check(part, depth=depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ParseError(_("The character NUL (U+0000) can't be stored."))
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ParseError(
                _("A text holds half of a surrogate pair, which is no character.")
            ) from error


def _too_deep() -> str:
    return _("The body is nested deeper than %(limit)d levels.") % {"limit": MAX_DEPTH}
