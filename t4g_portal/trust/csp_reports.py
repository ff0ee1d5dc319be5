"""Takes in what browsers report about breaches of the content policy, for the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from t4g_portal.lib.rate_limit import RateLimit

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16_384
# A page that breaks the policy may do so in many places at once.
MAX_REPORTS = 20
_LONGEST_VALUE = 200
# For all readers together: the log tells of a fault, it doesn't count it.
_limit = RateLimit(burst=60, per_second=0.5, max_keys=1)


@dataclass(frozen=True, slots=True)
class Breach:
    """What was blocked on which page; addresses without their query."""

    directive: str
    blocked: str
    page: str
    source: str


class UnableToReadReport(Exception):
    """The body is no report of a browser."""


def breaches(body: bytes) -> Iterator[Breach]:
    """Yield what a report names, in either format that browsers send.

    `report-uri` sends {"csp-report": {…}} with dashes, the Reporting API a list of
    {"type": "csp-violation", "body": {…}} in camel case. Raises UnableToReadReport.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnableToReadReport from error
    if isinstance(found, dict) and isinstance(found.get("csp-report"), dict):
        yield _breach(
            found["csp-report"], ("effective-directive", "violated-directive")
        )
        return
    if not isinstance(found, list):
        raise UnableToReadReport
    for entry in found[:MAX_REPORTS]:
        if isinstance(entry, dict) and isinstance(entry.get("body"), dict):
            yield _breach(entry["body"], ("effectiveDirective",))


def _breach(report: dict[str, Any], directives: tuple[str, ...]) -> Breach:
    def address(*names: str) -> str:
        return _address(next((report[name] for name in names if report.get(name)), ""))

    line = report.get("line-number") or report.get("lineNumber")
    source = address("source-file", "sourceFile")
    return Breach(
        directive=_text(next((report[d] for d in directives if report.get(d)), "")),
        blocked=address("blocked-uri", "blockedURL"),
        page=address("document-uri", "documentURL"),
        source=f"{source}:{line}" if source and isinstance(line, int) else source,
    )


def _address(value: object) -> str:
    # A query may hold what nobody should read in a log.
    text = _text(value)
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return parts._replace(query="", fragment="").geturl() if parts.netloc else text


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text[:_LONGEST_VALUE] if c.isprintable())


@csrf_exempt
@login_not_required
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Log a browser's report; 204 even when there are too many to log."""
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except (UnreadablePostError, RawPostDataException):
        return HttpResponse(status=400)
    if len(body) > MAX_BODY_BYTES:
        return HttpResponse(status=413)
    try:
        found = list(breaches(body))
    except UnableToReadReport:
        return HttpResponse(status=400)
    for breach in found:
        if _limit.allows("all"):
            logger.warning(
                "the content policy of %s blocked %s (%s) from %s",
                breach.page,
                breach.blocked,
                breach.directive,
                breach.source or "the page",
            )
    return HttpResponse(status=204)
