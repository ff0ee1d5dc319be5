"""What platforms and pipelines report. Services alone write these rows."""

from __future__ import annotations

from datetime import timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from incidents.models import Service
from t4g_portal.lib.commits import COMMIT, short

MAX_ENVIRONMENT, MAX_SOURCE = 60, 30
MAX_VERSION, MAX_ACTOR = 100, 150
MAX_EXTERNAL_ID = MAX_URL = 500


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Filters that read aloud."""

    def in_production(self) -> DeploymentQuerySet:
        """Those that users meet, and that monitors watch."""
        return self.filter(environment__in=Deployment.PRODUCTION)

    def deployed(self) -> DeploymentQuerySet:
        """Those that are in place, or were until something newer came."""
        return self.filter(state=Deployment.State.SUCCEEDED)


class Deployment(models.Model):
    """One commit of a service on its way to an environment, and what came of it.

    `telemetry.services` is the only writer. A program that tells of it names it by a
    number of its own (`source`, `external_id`), or by when it started.
    """

    class State(models.TextChoices):
        STARTED = "started", pgettext_lazy("deployment", "Started")
        SUCCEEDED = "succeeded", pgettext_lazy("deployment", "Succeeded")
        FAILED = "failed", pgettext_lazy("deployment", "Failed")
        ROLLED_BACK = "rolled_back", pgettext_lazy("deployment", "Rolled back")

    # What people call the environment that users meet.
    PRODUCTION = ("production", "prod", "live")
    # After that nobody will tell of its end any more.
    LONGEST = timedelta(hours=6)

    service = models.ForeignKey(
        Service,
        verbose_name=_("service"),
        on_delete=models.PROTECT,
        related_name="deployments",
    )
    environment = models.SlugField(_("environment"), max_length=MAX_ENVIRONMENT)
    git_sha = models.CharField(
        _("commit"), max_length=64, validators=[RegexValidator(COMMIT)]
    )
    version = models.CharField(_("version"), max_length=MAX_VERSION, blank=True)
    # Its page at whoever deploys: a pipeline, a platform.
    url = models.URLField(_("page"), max_length=MAX_URL, blank=True)
    # Who started it, as the pipeline says.
    actor = models.CharField(_("by"), max_length=MAX_ACTOR, blank=True)
    # Who told us: "github", "railway".
    source = models.SlugField(_("source"), max_length=MAX_SOURCE)
    external_id = models.CharField(
        _("number at the source"), max_length=MAX_EXTERNAL_ID, blank=True
    )
    state = models.CharField(_("state"), max_length=11, choices=State.choices)
    started_at = models.DateTimeField(_("started"))
    # When it succeeded or failed; of one that was broken off, when it was rolled back.
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    rolled_back_at = models.DateTimeField(_("rolled back"), null=True, blank=True)
    recorded_at = models.DateTimeField(_("first told"))

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=~Q(external_id=""),
                name="telemetry_deployment_one_a_number",
            ),
            models.UniqueConstraint(
                fields=["service", "environment", "git_sha", "started_at"],
                condition=Q(external_id=""),
                name="telemetry_deployment_one_a_start",
            ),
            # What is unknown is no contradiction to PostgreSQL, hence each `isnull`.
            models.CheckConstraint(
                condition=Q(
                    state="started",
                    finished_at__isnull=True,
                    rolled_back_at__isnull=True,
                )
                | Q(
                    state__in=["succeeded", "failed"],
                    finished_at__isnull=False,
                    finished_at__gte=F("started_at"),
                    rolled_back_at__isnull=True,
                )
                | Q(
                    state="rolled_back",
                    finished_at__isnull=False,
                    rolled_back_at__isnull=False,
                    finished_at__gte=F("started_at"),
                    rolled_back_at__gte=F("finished_at"),
                ),
                name="telemetry_deployment_times_fit_state",
            ),
            models.CheckConstraint(
                condition=Q(git_sha__regex=COMMIT),
                name="telemetry_deployment_sha_is_hexadecimal",
            ),
        ]
        indexes = [
            # What is live where.
            models.Index(
                fields=["service", "environment", "-finished_at"],
                name="telemetry_deployment_live",
            ),
            # What went on at a time.
            models.Index(fields=["-started_at"], name="telemetry_deployment_recent"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.service_id} {self.environment} {self.short_sha}"

    @property
    def short_sha(self) -> str:
        """The commit as people read it."""
        return short(self.git_sha)

    @property
    def name(self) -> str:
        """What it brought: its version, else its commit."""
        return self.version or self.short_sha

    @property
    def is_production(self) -> bool:
        """Whether users meet it."""
        return self.environment in self.PRODUCTION
