"""The HTTP(S) probe: one request, redirects by hand, status and expectations."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from monitors.probes import assertions, certificates, failures
from monitors.probes.base import (
    Outcome,
    Phases,
    ProbeRequest,
    ProbeResult,
    Reason,
    UnableToParse,
)
from monitors.probes.http_exchange import (
    Answer,
    ConnectionCut,
    Headers,
    Hop,
    NotHttp,
    UnableToRedirect,
    exchange,
    next_hop,
    parse_site,
)
from monitors.probes.options import (
    HEADER_NAME,
    format_ranges,
    option,
    parse_ranges,
)
from monitors.probes.texts import excerpt
from t4g_portal.lib.egress import AnswerTooLarge, Stage

USER_AGENT = b"T4G-Portal/1 (+monitoring)"

_MAX_HEADER_COUNT = 50
# The probe's own business, or a secret that belongs into the secret field.
_OWN_HEADERS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_SECRET_HEADERS = frozenset(("authorization", "cookie", "proxy-authorization"))
_METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def parse_headers(text: str) -> Headers:
    """Lines of `Name: value` as pairs of bytes. Raises ValueError."""
    headers = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise ValueError(
                pgettext("stored", "Write one header a line, as Name: value")
            )
        if name.lower() in _OWN_HEADERS:
            raise ValueError(
                pgettext("stored", "%(name)s is set by the probe") % {"name": name}
            )
        if name.lower() in _SECRET_HEADERS:
            raise ValueError(
                pgettext(
                    "stored", "Choose an authentication; %(name)s goes into the secret"
                )
                % {"name": name}
            )
        try:
            headers.append((name.encode("ascii"), value.encode("latin-1")))
        except UnicodeError as exc:
            raise ValueError(
                pgettext("stored", "Headers hold Latin-1 characters only")
            ) from exc
    if len(headers) > _MAX_HEADER_COUNT:
        raise ValueError(
            pgettext("stored", "At most %(count)d headers")
            % {"count": _MAX_HEADER_COUNT}
        )
    return tuple(headers)


def parse_statuses(text: str) -> tuple[tuple[float, float], ...]:
    """`"200-299, 301"` as pairs of included borders. Raises ValueError."""
    ranges = parse_ranges(text)
    if not all(low >= 100 and high <= 599 for low, high in ranges):
        raise ValueError(pgettext("stored", "HTTP statuses run from 100 to 599"))
    return ranges


def _parse_header_name(text: str) -> str:
    if not HEADER_NAME.fullmatch(text) or text.lower() in _OWN_HEADERS | {"host"}:
        raise ValueError(pgettext("stored", "Name a header such as X-Api-Key"))
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How to ask, and which statuses are good."""

    method: str = option(
        "GET",
        type="choice",
        label=_("method"),
        choices=tuple(
            (name, name)
            for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        ),
    )
    expected_statuses: tuple[tuple[float, float], ...] = option(
        "200-299",
        type="text",
        label=_("expected statuses"),
        help=_("Ranges such as 200-299, 301."),
        maximum=200,
        parse=parse_statuses,
    )
    headers: Headers = option(  # noqa: RUF009 - makes a field()
        "",
        type="lines",
        label=_("headers"),
        help=_("One a line, as Name: value. No secrets: they go into the secret."),
        maximum=8000,
        parse=parse_headers,
    )
    body: bytes = option(
        "",
        type="lines",
        label=_("body"),
        help=_("Sent with POST, PUT, PATCH and DELETE."),
        maximum=65536,
        parse=str.encode,
    )
    auth: str = option(
        "none",
        type="choice",
        label=_("authentication"),
        help=_("What the secret is used for."),
        choices=(
            ("none", _("none")),
            ("basic", _("Basic: the user name and the secret")),
            ("bearer", _("Bearer: the secret is the token")),
            ("header", _("Header: the secret is the header's value")),
        ),
    )
    username: str = option("", type="text", label=_("user name"), maximum=200)
    auth_header: str = option(
        "X-Api-Key",
        type="text",
        label=_("authentication header"),
        help=_("The header that carries the secret."),
        maximum=100,
        parse=_parse_header_name,
    )
    follow_redirects: bool = option(True, type="switch", label=_("follow redirects"))
    max_redirects: int = option(
        5, type="integer", label=_("redirects at most"), minimum=1, maximum=20
    )
    verify_tls: bool = option(
        True,
        type="switch",
        label=_("verify the certificate"),
        help=_("Off: an expired or foreign certificate is no failure."),
    )

    def check(self) -> None:
        """Raise UnableToParse where options contradict each other."""
        if self.body and self.method not in _METHODS_WITH_BODY:
            raise UnableToParse("body", pgettext("stored", "This method has no body"))
        if self.auth == "basic" and (not self.username or ":" in self.username):
            raise UnableToParse(
                "username",
                pgettext("stored", "Basic authentication needs a name without a colon"),
            )


class HttpProbe:
    """Asks a URL and judges status, headers, body, JSON, latency and certificate."""

    kind: ClassVar[str] = "http"
    label: ClassVar[Any] = _("HTTP(S)")
    options_type: ClassVar[type[Any]] = HttpOptions
    target_example: ClassVar[str] = "https://example.org/health"
    subjects: ClassVar[frozenset[str]] = frozenset(
        ("status", "header", "body", "json", "latency", "days_left")
    )
    is_passive: ClassVar[bool] = False

    def check_target(self, target: str) -> None:
        """Raise UnableToParse unless `target` is an http(s) URL without password."""
        parse_site(target)

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Ask, following redirects; each hop is guarded anew, times add up."""
        options: HttpOptions = request.options
        first = hop = _first_hop(request)
        redirect_count = 0
        while True:
            try:
                answer = await exchange(
                    hop,
                    verify_tls=options.verify_tls,
                    may_use_private=request.may_use_private_targets,
                    phases=phases,
                )
            except ssl.SSLCertVerificationError as exc:
                return await _untrusted(exc, hop, request, phases)
            except AnswerTooLarge:
                return failures.failed(
                    Reason.PROTOCOL,
                    pgettext("stored", "The headers do not end"),
                    phases,
                )
            except ConnectionCut:
                return _cut(phases)
            except (NotHttp, h11.RemoteProtocolError) as exc:
                shown = exc.received if isinstance(exc, NotHttp) else str(exc)
                return failures.failed(
                    Reason.PROTOCOL,
                    pgettext("stored", "The answer is not valid HTTP"),
                    phases,
                    excerpt=excerpt(shown),
                )
            if not (options.follow_redirects and answer.is_redirect):
                return _judge(request, answer, phases, redirect_count)
            redirect_count += 1
            if redirect_count > options.max_redirects:
                return failures.failed(
                    Reason.TOO_MANY_REDIRECTS,
                    pgettext("stored", "More than %(count)d redirects")
                    % {"count": options.max_redirects},
                    phases,
                    status_code=answer.status,
                    certificate=answer.certificate,
                )
            try:
                hop = next_hop(hop, answer, first=first)
            except UnableToRedirect as exc:
                return failures.failed(
                    Reason.BAD_REDIRECT,
                    str(exc),
                    phases,
                    status_code=answer.status,
                    certificate=answer.certificate,
                )


def _first_hop(request: ProbeRequest) -> Hop:
    options: HttpOptions = request.options
    headers = list(options.headers)
    names = {name.lower() for name, _value in headers}
    if b"user-agent" not in names:
        headers.append((b"User-Agent", USER_AGENT))
    if b"accept" not in names:
        headers.append((b"Accept", b"*/*"))
    if options.body and b"content-type" not in names:
        headers.append((b"Content-Type", _content_type(options.body)))
    if options.auth != "none":
        headers.append(_credentials(options, request.secret))
    return Hop(
        site=parse_site(request.target),
        method=options.method,
        headers=tuple(headers),
        body=options.body,
    )


def _credentials(options: HttpOptions, secret: str) -> tuple[bytes, bytes]:
    if not secret:
        raise UnableToParse(
            "secret", pgettext("stored", "The authentication needs a secret")
        )
    if options.auth == "basic":
        pair = base64.b64encode(f"{options.username}:{secret}".encode())
        return b"Authorization", b"Basic " + pair
    try:
        value = secret.strip().encode("latin-1")
    except UnicodeError as exc:
        raise UnableToParse(
            "secret", pgettext("stored", "Headers hold Latin-1 characters only")
        ) from exc
    if not secret.strip().isprintable():
        raise UnableToParse(
            "secret", pgettext("stored", "Control characters aren't allowed")
        )
    if options.auth == "bearer":
        return b"Authorization", b"Bearer " + value
    return options.auth_header.encode("ascii"), value


def _content_type(body: bytes) -> bytes:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return b"text/plain; charset=utf-8"
    return b"application/json"


def _judge(
    request: ProbeRequest, answer: Answer, phases: Phases, redirect_count: int
) -> ProbeResult:
    options: HttpOptions = request.options
    status = answer.status
    facts: dict[str, object] = {
        "http_version": answer.http_version,
        "size_bytes": len(answer.body),
    }
    if redirect_count:
        facts["redirects"] = redirect_count
    if answer.is_truncated:
        facts["is_truncated"] = True
    if answer.tls_version:
        facts["tls_version"] = answer.tls_version
    reason: int
    if not any(low <= status <= high for low, high in options.expected_statuses):
        reason = status if status < 600 else int(Reason.UNEXPECTED_ANSWER)
        unmet = ""
        message = pgettext("stored", "HTTP %(status)d, expected %(expected)s") % {
            "status": status,
            "expected": format_ranges(options.expected_statuses),
        }
    else:
        unmet = _unmet(request, answer, phases) if request.assertions else ""
        if not unmet:
            return ProbeResult(
                outcome=Outcome.PASSED,
                reason=0,
                message=f"HTTP {status}",
                phases=phases,
                status_code=status,
                certificate=answer.certificate,
                facts=facts,
            )
        reason = int(Reason.ASSERTION)
        message = unmet
    return failures.failed(
        reason,
        message,
        phases,
        status_code=status,
        failed_assertion=unmet,
        excerpt=_excerpt(request, answer),
        certificate=answer.certificate,
        facts=facts,
    )


def _unmet(request: ProbeRequest, answer: Answer, phases: Phases) -> str:
    seen = assertions.Seen(
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        is_truncated=answer.is_truncated,
        latency_ms=phases.total_ms,
        days_left=certificates.days_left(answer.certificate)
        if answer.certificate is not None
        else None,
    )
    return assertions.judge(request.assertions, seen) or ""


def _excerpt(request: ProbeRequest, answer: Answer) -> str:
    body = answer.body
    if request.secret:
        # Before it is cut: half a secret is one too.
        options: HttpOptions = request.options
        pair = base64.b64encode(f"{options.username}:{request.secret}".encode())
        body = body.replace(request.secret.encode(), b"***").replace(pair, b"***")
    return excerpt(body)


def _cut(phases: Phases) -> ProbeResult:
    message = (
        pgettext("stored", "The connection was closed in the middle of the answer")
        if phases.stage is Stage.TRANSFER
        else pgettext("stored", "The connection was closed without an answer")
    )
    return failures.failed(Reason.CONNECTION_LOST, message, phases)


async def _untrusted(
    exc: ssl.SSLCertVerificationError,
    hop: Hop,
    request: ProbeRequest,
    phases: Phases,
) -> ProbeResult:
    """The failed verification, with the certificate that a second look shows."""
    certificate = await certificates.fetch_certificate(
        host=hop.site.host,
        port=hop.site.port,
        server_name=hop.site.host.rstrip("."),
        may_use_private=request.may_use_private_targets,
        within_s=certificates.second_look_s(request.timeout_s, phases),
    )
    return failures.bad_certificate(exc, phases, certificate=certificate)
