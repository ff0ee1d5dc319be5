from __future__ import annotations

from django.db import migrations, models
from django.db.models import F, Q

_END = "incidents_deploywindow_end_has_a_cause"
_RETURN = "incidents_swap_return_ends_after_it_starts"


class Migration(migrations.Migration):
    """Refuse half an end, too: NULL compared with anything is no contradiction.

    Services have always written both halves, so no stored row is in the way.
    """

    dependencies = [
        ("incidents", "0018_reach_expectations"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="deploywindow", name=_END),
        migrations.AddConstraint(
            model_name="deploywindow",
            constraint=models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end_cause="")
                | Q(
                    ended_at__isnull=False,
                    ended_at__gte=F("opened_at"),
                    ended_at__lte=F("ends_at"),
                    end_cause__in=["bound", "closed", "healthy", "clock"],
                ),
                name=_END,
            ),
        ),
        migrations.RemoveConstraint(model_name="swaprequest", name=_RETURN),
        migrations.AddConstraint(
            model_name="swaprequest",
            constraint=models.CheckConstraint(
                condition=Q(return_starts_at__isnull=True, return_ends_at__isnull=True)
                | Q(
                    return_starts_at__isnull=False,
                    return_ends_at__isnull=False,
                    return_ends_at__gt=F("return_starts_at"),
                ),
                name=_RETURN,
            ),
        ),
    ]
