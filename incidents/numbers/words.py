"""The first answer of the page, in one or two sentences. Pure."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.numbers.figures import Line
from t4g_portal.lib import wording


def answer(*, whole: Line) -> str:
    """Say how fast people were; empty when there was no incident."""
    if not whole.incident_count:
        return ""
    spread = whole.to_acknowledge
    if not spread.count:
        return ngettext(
            "%(count)d incident, which nobody has acknowledged.",
            "%(count)d incidents, none of which anybody has acknowledged.",
            whole.incident_count,
        ) % {"count": whole.incident_count}
    said = ngettext(
        "%(count)d incident, acknowledged within %(length)s.",
        "%(count)d incidents, half of those acknowledged within %(length)s.",
        whole.incident_count,
    ) % {
        "count": whole.incident_count,
        "length": wording.duration(spread.median_s),
    }
    if whole.objectives.ratio is None:
        return said
    return _("%(said)s %(share)s of the responses came in time.") % {
        "said": said,
        "share": wording.percent(whole.objectives.ratio, digits=0),
    }
