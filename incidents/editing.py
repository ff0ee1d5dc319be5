"""Writing services without a form."""

from __future__ import annotations

from collections.abc import Iterator

from incidents.models import Service
from notifications.validation import validate_time_zone
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault


def create_service(*, values: Values) -> Service:
    """Store a new service; raises UnableToSave."""
    return editing.create(model=Service, values=values, check=service_faults)


def change_service(
    *, service_id: int, values: Values, expected: str | None = None
) -> Service:
    """Change a service; raises UnableToSave, ChangedMeanwhile, Service.DoesNotExist."""
    return editing.change(
        rows=Service.objects.all(),
        pk=service_id,
        values=values,
        check=service_faults,
        expected=expected,
    )


def delete_service(*, service_id: int, expected: str | None = None) -> None:
    """Delete a service that nothing needs; raises ProtectedError when something does."""
    editing.delete(rows=Service.objects.all(), pk=service_id, expected=expected)


def service_faults(values: Values) -> Iterator[Fault]:
    """Check what a service holds beyond the limits of its columns."""
    found = validate_time_zone(time_zone=values.get("time_zone", ""))
    for field, message in found.items():
        yield Fault(field, message)
