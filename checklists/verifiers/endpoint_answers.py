"""An address answers now, as it should: asked once, through the probe of monitors."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verdict,
    Verifier,
    failed,
    unknown,
)
from checklists.verifiers.saying import instant
from monitors.models import Assertion, Monitor
from monitors.probe_now import AskedTooSoon, UnableToProbe, ask_once
from monitors.probes.base import Outcome

_DEFAULT_TIMEOUT_MS = 10_000
# While others are being probed.
_WAIT_S = 20


def _look(_subject: Subject, wanted: Parameters, _now: datetime) -> Finding:
    url = wanted["url"]
    what = {
        "url": url,
        "method": wanted["method"],
        "expected_statuses": wanted["expected_statuses"],
        "max_latency_ms": wanted["max_latency_ms"],
    }
    assertions = []
    if wanted["json_path"]:
        what |= {"json_path": wanted["json_path"], "json_value": wanted["json_value"]}
        assertions = [
            Assertion(
                subject="json",
                argument=wanted["json_path"],
                operator="equals",
                expected=wanted["json_value"],
            )
        ]
    try:
        probed = ask_once(
            monitor=_monitor(wanted),
            assertions=assertions,
            wait_s=_WAIT_S,
        )
    except AskedTooSoon:
        return unknown("busy", what, url=url)
    except UnableToProbe as error:
        return unknown("unable", what, url=url, message=str(error))
    result = probed.result
    latency_ms = round(result.phases.total_ms)
    observed: dict[str, Any] = {
        "probed_at": instant(probed.at),
        "status_code": result.status_code,
        "latency_ms": latency_ms,
        "message": result.failed_assertion or result.message,
    }
    values = {"url": url, "latency_ms": latency_ms, "message": observed["message"]}
    if result.outcome is Outcome.PASSED:
        is_slow = latency_ms > wanted["max_latency_ms"]
        if is_slow:
            values["bound_ms"] = wanted["max_latency_ms"]
            return failed("slow", what, **values)
        values["status_code"] = result.status_code
        return Finding(Verdict.PASSED, "answers", what, values, observed)
    if result.outcome is Outcome.ERROR:
        return Finding(Verdict.UNKNOWN, "our_fault", what, values, observed)
    return Finding(Verdict.FAILED, "no_answer", what, values, observed)


def _monitor(wanted: Parameters) -> Monitor:
    """Return a monitor of the address that nobody saves."""
    is_private = _may_be_private(wanted["url"])
    return Monitor(
        kind="http",
        target=wanted["url"],
        options={
            "method": wanted["method"],
            "expected_statuses": wanted["expected_statuses"],
            # The leave is for this host and port, not for wherever they send us.
            "follow_redirects": not is_private,
        },
        timeout_s=max(wanted["max_latency_ms"], 1000) / 1000,
        may_use_private_targets=is_private,
    )


def _may_be_private(url: str) -> bool:
    """Whether somebody who may has let a monitor reach this very host and port.

    A template opens no way into private networks by itself.
    """
    place = _place(url)
    targets = Monitor.objects.filter(
        kind="http", is_enabled=True, may_use_private_targets=True
    ).values_list("target", flat=True)
    return any(_place(target) == place for target in targets)


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


VERIFIER = Verifier(
    name="endpoint_answers",
    label=_("An address answers"),
    help=_(
        "It is asked once, now. Hosts in private networks only where an enabled monitor"
        " may reach them."
    ),
    parameters=(
        Parameter("url", _("address"), "url"),
        Parameter(
            "method",
            _("method"),
            "choice",
            default="GET",
            choices=(("GET", "GET"), ("HEAD", "HEAD")),
        ),
        Parameter(
            "expected_statuses",
            _("expected statuses"),
            "statuses",
            default="200-299",
            help=_("Ranges such as 200-299, 301."),
        ),
        Parameter(
            "max_latency_ms",
            _("at most so slow (ms)"),
            "integer",
            default=_DEFAULT_TIMEOUT_MS,
            minimum=100,
            maximum=60_000,
        ),
        Parameter(
            "json_path",
            _("JSON path"),
            "json_path",
            default="",
            help=_("JMESPath, such as status. Empty: the answer may be anything."),
        ),
        Parameter("json_value", _("value there"), "text", default=""),
    ),
    look=_look,
    phrases={
        "answers": _("%(url)s answered HTTP %(status_code)s within %(latency_ms)s."),
        "slow": _("%(url)s took %(latency_ms)s, and %(bound_ms)s is the bound."),
        "no_answer": _("%(url)s: %(message)s"),
        "our_fault": _("Nobody can tell how %(url)s is: %(message)s"),
        "busy": _("%(url)s was not asked: too many others are being probed."),
        "unable": _("%(url)s could not be asked: %(message)s"),
    },
)
