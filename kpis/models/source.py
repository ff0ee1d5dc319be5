"""Whom the portal asks for figures, and what it last saw of them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kpis.sources import registry
from t4g_portal.lib.secrets import EncryptedTextField

MAX_TIMEOUT_S = 60


def source_kinds() -> list[tuple[str, str]]:
    """Kinds that `kpis.sources` can read; an open set, so no migration."""
    return registry.choices()


class DataSource(models.Model):
    """A place that figures are read from. What the admin edits; the engine never writes it."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    kind = models.CharField(_("kind"), max_length=30, choices=source_kinds)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    url = models.CharField(
        _("address"),
        max_length=500,
        blank=True,
        help_text=_(
            "PostgreSQL: postgresql://user@host:5432/database?sslmode=verify-full. "
            "HTTP: the URL of the JSON. Without the password or token."
        ),
    )
    secret = EncryptedTextField(_("password or token"), blank=True)
    header = models.CharField(
        _("header"),
        max_length=100,
        blank=True,
        default="Authorization",
        help_text=_("HTTP: which header carries the token."),
    )
    timeout_s = models.PositiveSmallIntegerField(
        _("timeout (s)"),
        default=10,
        help_text=_("A question that takes longer is given up."),
    )
    allowed_tables = models.JSONField(
        _("tables that may be read"),
        default=list,
        blank=True,
        help_text=_("PostgreSQL: a list such as public.user_activities."),
    )
    may_use_private_targets = models.BooleanField(
        _("may reach private networks"),
        default=False,
        help_text=_("Those that EGRESS_ALLOWED_NETWORKS lists."),
    )

    class Meta:
        verbose_name = _("data source")
        verbose_name_plural = _("data sources")
        constraints = [
            models.CheckConstraint(
                condition=Q(timeout_s__gte=1, timeout_s__lte=MAX_TIMEOUT_S),
                name="kpis_datasource_timeout_in_range",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_manual(self) -> bool:
        """Whether people enter the values, and nobody reads them."""
        return self.kind == registry.MANUAL


class DataSourceState(models.Model):
    """What the engine last saw of a source: whether it is safe, and whether it answers."""

    source = models.OneToOneField(
        DataSource, primary_key=True, on_delete=models.CASCADE, related_name="state"
    )
    checked_at = models.DateTimeField(_("checked"), null=True)
    # Of kind, address and secret as they were checked: an edit asks for a new check.
    checked_fingerprint = models.CharField(max_length=64, blank=True)
    # Why it may not be asked, in words; empty when it was found safe.
    problem = models.TextField(_("problem"), blank=True)
    failure_count = models.PositiveIntegerField(_("failures in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    last_error = models.TextField(_("last error"), blank=True)
    last_ok_at = models.DateTimeField(_("last answer"), null=True)
    # HTTP: the last JSON seen, for whoever picks a path from it.
    last_sample = models.JSONField(null=True)
    # One reader at a time: somebody asks the source until then, and `token` is theirs.
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)

    class Meta:
        verbose_name = _("data source state")
        verbose_name_plural = _("data source states")

    def __str__(self) -> str:
        return f"state of data source {self.source_id}"
