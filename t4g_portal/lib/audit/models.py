"""The rows of the chain. `append` makes them; the database refuses all else."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.audit.chain import GENESIS, VERSION, Actor, ActorKind, Link


class AuditEntry(models.Model):
    """Something that somebody did, and the hash that ties it to what was done before.

    Every column is part of the hash. A trigger lets in only the entry that follows on
    the head, and refuses UPDATE, DELETE and TRUNCATE.
    """

    seq = models.BigIntegerField(_("number"), primary_key=True)
    version = models.PositiveSmallIntegerField(_("version"), default=VERSION)
    at = models.DateTimeField(_("at"))
    actor_kind = models.CharField(_("kind"), max_length=10, choices=ActorKind)
    actor_id = models.CharField(_("actor"), max_length=80)
    actor_name = models.CharField(_("name"), max_length=320)
    # Such as `checklist.signed`.
    action = models.CharField(_("act"), max_length=80)
    # What it was done to, such as `run:12`.
    subject = models.CharField(_("subject"), max_length=160)
    details = models.JSONField(_("details"), default=dict)
    prev_hash = models.CharField(_("hash before"), max_length=64)
    hash = models.CharField(_("hash"), max_length=64)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-seq"]
        indexes = [
            models.Index(fields=["subject", "seq"], name="cellar_auditentry_subject"),
            models.Index(fields=["at"], name="cellar_auditentry_at"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(seq__gte=1), name="cellar_auditentry_starts_at_one"
            ),
            models.CheckConstraint(
                condition=Q(actor_kind__in=ActorKind.values),
                name="cellar_auditentry_known_actor_kind",
            ),
            models.CheckConstraint(
                condition=Q(hash__regex=r"^[0-9a-f]{64}$")
                & Q(prev_hash__regex=r"^[0-9a-f]{64}$"),
                name="cellar_auditentry_hashes_are_hex",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.subject}"

    @property
    def actor(self) -> Actor:
        """Who did it."""
        return Actor(ActorKind(self.actor_kind), self.actor_id, self.actor_name)


class AuditHead(models.Model):
    """Where the chain ends: one row, which the entries' trigger moves on."""

    ONLY = 1

    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)

    class Meta:
        verbose_name = _("head of the audit chain")
        verbose_name_plural = _("heads of the audit chain")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="cellar_audithead_only_one")
        ]

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @property
    def link(self) -> Link:
        """The last entry, as the next one follows on it."""
        return Link(self.seq, self.hash)
