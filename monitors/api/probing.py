"""A probe at once, as an answer."""

from __future__ import annotations

from typing import Any

from monitors.probe_now import Probed
from monitors.probes.base import Outcome
from monitors.queries.latency import PHASES
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.retelling import retold


class ProbedSerializer(StrictSerializer):
    """What one probe saw. Phases in milliseconds, null where one did not happen."""

    at = fields.Moment(read_only=True)
    outcome = fields.Choice(choices=[str(one) for one in Outcome], read_only=True)
    code = fields.Integer(read_only=True)
    message = fields.Text(read_only=True)
    status_code = fields.Integer(read_only=True, allow_null=True)
    failed_assertion = fields.Text(read_only=True)
    excerpt = fields.Text(read_only=True, help_text="At most 1 KiB of the answer.")
    latency_ms = fields.Number(read_only=True)
    dns_ms = fields.Number(read_only=True, allow_null=True)
    connect_ms = fields.Number(read_only=True, allow_null=True)
    tls_ms = fields.Number(read_only=True, allow_null=True)
    first_byte_ms = fields.Number(read_only=True, allow_null=True)
    transfer_ms = fields.Number(read_only=True, allow_null=True)
    certificate_expires_at = fields.Moment(read_only=True, allow_null=True)
    is_recorded = fields.Flag(
        read_only=True, help_text="Whether it counts; not while the monitor is paused."
    )

    @classmethod
    def represent(cls, row: Probed) -> dict[str, Any]:
        """Return what was seen."""
        result = row.result
        certificate = result.certificate
        return {
            "at": fields.write_moment(row.at),
            "outcome": str(result.outcome),
            "code": int(result.reason),
            "message": retold(result.message),
            "status_code": result.status_code,
            "failed_assertion": result.failed_assertion,
            "excerpt": result.excerpt,
            "latency_ms": result.phases.total_ms,
            **{phase: getattr(result.phases, phase) for phase in PHASES},
            "certificate_expires_at": (
                fields.write_moment(certificate.not_after) if certificate else None
            ),
            "is_recorded": row.is_recorded,
        }
