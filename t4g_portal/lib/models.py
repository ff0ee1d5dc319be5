"""Tables that every floor may use."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.audit.models import AuditEntry, AuditHead

# Django finds the tables of an app in this module.
__all__ = [
    "ApiKey",
    "ApiKeyUse",
    "AuditEntry",
    "AuditHead",
    "FirstRun",
    "IdempotentAnswer",
    "LoopCycle",
    "SeededKey",
]


class LoopCycle(models.Model):
    """When a timed loop last came round; `/ready` and the auditor read it."""

    name = models.CharField(primary_key=True, max_length=60)
    completed_at = models.DateTimeField()
    # Later than this and the loop counts as stuck.
    bound_s = models.PositiveIntegerField()
    # When it came round again after it had been late: before that, nobody looked.
    resumed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("loop")
        verbose_name_plural = _("loops")

    def __str__(self) -> str:
        return self.name


class FirstRun(models.Model):
    """The first run of this portal: one row, from its first start on.

    `ended_at` None: whoever may set the portal up is led to it.
    """

    ONLY = 1

    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    is_skipped = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("first run")
        verbose_name_plural = _("first runs")
        # Nobody edits it by hand: who may set the portal up ends it on its page.
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(id=1), name="cellar_firstrun_only_one"
            )
        ]

    def __str__(self) -> str:
        return "first run"


class SeededKey(models.Model):
    """A row that the seed once made, so that deleting or editing it is respected."""

    key = models.CharField(primary_key=True, max_length=200)
    seeded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("seeded row")
        verbose_name_plural = _("seeded rows")

    def __str__(self) -> str:
        return self.key


class ApiKey(models.Model):
    """A key for the REST API, in the name of its owner. The secret is not kept.

    It may do what its scopes and its owner's permissions both allow.
    """

    key_id = models.CharField(_("key"), max_length=12, unique=True, editable=False)
    # SHA-256 of the secret, which is 32 random bytes.
    digest = models.CharField(max_length=64, editable=False)
    name = models.CharField(
        _("name"), max_length=80, help_text=_("What it is for, such as “CI deploys”.")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text=_("What is done with the key counts as done by this person."),
    )
    scopes = ArrayField(
        models.CharField(max_length=40), verbose_name=_("scopes"), default=list
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(revoked_at__isnull=True),
                name="cellar_apikey_name_once_an_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def state_at(self, now: datetime) -> str:
        """Return `revoked`, `expired` or `valid`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"


class ApiKeyUse(models.Model):
    """When a key was last used, to the minute. Engine-owned."""

    key = models.OneToOneField(
        ApiKey, primary_key=True, on_delete=models.CASCADE, related_name="use"
    )
    last_used_at = models.DateTimeField(_("last used"))

    class Meta:
        verbose_name = _("use of an API key")
        verbose_name_plural = _("uses of API keys")

    def __str__(self) -> str:
        return f"use of key {self.key_id}"


class IdempotentAnswer(models.Model):
    """What was answered to a POST with an `Idempotency-Key`, to answer it again."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=200)
    # SHA-256 of method, address and body: the same key for something else is a mistake.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("idempotent answer")
        verbose_name_plural = _("idempotent answers")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "key"], name="cellar_idempotentanswer_once"
            )
        ]
        indexes = [
            models.Index(fields=["created_at"], name="cellar_idempotentanswer_age")
        ]

    def __str__(self) -> str:
        return f"{self.owner_id} {self.key}"


class AttemptCounter(models.Model):
    """How often a device, an account or an address has tried a secret; engine-owned.

    `t4g_portal.lib.guessing` writes it; the keys tell no name and no address.
    """

    key = models.CharField(primary_key=True, max_length=60)
    count = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)
    # No attempt is looked at before.
    open_at = models.DateTimeField()

    class Meta:
        # It began as the sign-ins' own, in another room.
        db_table = "t4g_portal_signincounter"

    def __str__(self) -> str:
        return self.key
