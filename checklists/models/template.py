"""What a checklist asks for: the draft that people edit, and the versions they publish."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from notifications.models import Contact

MIN_VALID_FOR_S, MAX_VALID_FOR_S = 60, 366 * 86_400
MAX_NAME, MAX_TITLE = 120, 200


class ChecklistTemplate(models.Model):
    """A checklist as people edit it; runs copy a published version, never this."""

    slug = models.SlugField(_("slug"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=MAX_NAME)
    name_fr = models.CharField(_("name (French)"), max_length=MAX_NAME, blank=True)
    description = models.TextField(
        _("description"), blank=True, help_text=_("When to use it.")
    )
    description_fr = models.TextField(_("description (French)"), blank=True)
    is_enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Off: nobody can open a run of it.")
    )
    needs_two_to_publish = models.BooleanField(
        _("two people publish"),
        default=False,
        help_text=_("Whoever proposes a version can't publish it."),
    )

    class Meta:
        verbose_name = _("checklist template")
        verbose_name_plural = _("checklist templates")
        permissions = [
            ("publish_template", "Can publish a version of a checklist template")
        ]

    def __str__(self) -> str:
        return self.name


class TemplateSection(models.Model):
    """A heading of a checklist with its items."""

    template = models.ForeignKey(
        ChecklistTemplate,
        verbose_name=_("template"),
        on_delete=models.CASCADE,
        related_name="sections",
    )
    key = models.SlugField(_("key"), max_length=60)
    position = models.PositiveSmallIntegerField(_("order"), default=100)
    title = models.CharField(_("title"), max_length=MAX_TITLE)
    title_fr = models.CharField(_("title (French)"), max_length=MAX_TITLE, blank=True)

    class Meta:
        verbose_name = _("checklist section")
        verbose_name_plural = _("checklist sections")
        constraints = [
            models.UniqueConstraint(
                fields=["template", "key"], name="checklists_section_key_once"
            )
        ]

    def __str__(self) -> str:
        return self.title


class ItemFields(models.Model):
    """What an item asks for: the same in a template and in the copy that a run keeps."""

    class Kind(models.TextChoices):
        MANUAL = "manual", _("Somebody looks")
        RULE = "rule", _("The portal verifies")
        EXTERNAL = "external", _("A program sends proof")

    position = models.PositiveSmallIntegerField(_("order"), default=100)
    key = models.SlugField(
        _("key"),
        max_length=60,
        help_text=_("Names it in the API. Stays the same over versions."),
    )
    title = models.CharField(_("title"), max_length=MAX_TITLE)
    title_fr = models.CharField(_("title (French)"), max_length=MAX_TITLE, blank=True)
    help = models.TextField(
        _("how to do it"), blank=True, help_text=_("Markdown works.")
    )
    help_fr = models.TextField(_("how to do it (French)"), blank=True)
    kind = models.CharField(
        _("proof"), max_length=10, choices=Kind.choices, default=Kind.MANUAL
    )
    # A name of `checklists.verifiers.registry`; an open set.
    verifier = models.CharField(_("verifier"), max_length=60, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    required_role = models.CharField(
        _("role"),
        max_length=150,
        blank=True,
        help_text=_("The name of a group. Empty: whoever may sign."),
    )
    signatures_required = models.PositiveSmallIntegerField(
        _("signatures"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(2)],
        help_text=_("1, or 2 by different people."),
    )
    forbid_self = models.BooleanField(
        _("four eyes"),
        default=False,
        help_text=_(
            "Whoever brought the evidence or opened the run can't sign, admins included."
        ),
    )
    evidence_required = models.BooleanField(_("evidence required"), default=False)
    valid_for_s = models.PositiveIntegerField(
        _("valid for (s)"),
        null=True,
        blank=True,
        validators=[
            MinValueValidator(MIN_VALID_FOR_S),
            MaxValueValidator(MAX_VALID_FOR_S),
        ],
        help_text=_("Older evidence and sign-offs count no more. Empty: no limit."),
    )
    is_blocking = models.BooleanField(
        _("blocks the release"), default=True, help_text=_("Off: worth a look only.")
    )
    owner = models.ForeignKey(
        Contact,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Who sees to it, and is reminded."),
    )
    runbook_url = models.URLField(_("runbook"), blank=True)

    class Meta:
        abstract = True


class TemplateItem(ItemFields):
    """One line of a checklist as people edit it."""

    section = models.ForeignKey(
        TemplateSection,
        verbose_name=_("section"),
        on_delete=models.CASCADE,
        related_name="items",
    )

    class Meta:
        verbose_name = _("checklist item")
        verbose_name_plural = _("checklist items")
        constraints = [
            models.UniqueConstraint(
                fields=["section", "key"], name="checklists_item_key_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["manual", "rule", "external"]),
                name="checklists_item_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(signatures_required__in=[1, 2]),
                name="checklists_item_one_or_two_sign",
            ),
            models.CheckConstraint(
                condition=Q(kind="rule") | Q(verifier=""),
                name="checklists_item_verifier_is_of_a_rule",
                violation_error_message=_("Only a verified item has a verifier."),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class TemplateVersion(models.Model):
    """A template as somebody proposed and published it. Its content never changes."""

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("Proposed")
        PUBLISHED = "published", _("Published")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    template = models.ForeignKey(
        ChecklistTemplate,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        related_name="versions",
    )
    number = models.PositiveIntegerField(_("number"))
    # All that a run copies; `checklists.content` writes and reads it.
    content = models.JSONField(_("content"))
    fingerprint = models.CharField(_("SHA-256"), max_length=64)
    status = models.CharField(
        _("state"), max_length=10, choices=Status.choices, default=Status.PROPOSED
    )
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("proposed by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    proposed_by_name = models.CharField(_("proposed by (name)"), max_length=320)
    proposed_at = models.DateTimeField(_("proposed"))
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("published by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    published_by_name = models.CharField(
        _("published by (name)"), max_length=320, blank=True
    )
    published_at = models.DateTimeField(_("published"), null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    withdrawn_by_name = models.CharField(
        _("withdrawn by (name)"), max_length=320, blank=True
    )
    withdrawn_reason = models.TextField(_("reason"), blank=True)

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        constraints = [
            models.UniqueConstraint(
                fields=["template", "number"], name="checklists_version_number_once"
            ),
            # The next one waits until this one is decided on.
            models.UniqueConstraint(
                fields=["template"],
                condition=Q(status="proposed"),
                name="checklists_version_one_proposed",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["proposed", "published", "withdrawn"]),
                name="checklists_version_status_known",
            ),
            models.CheckConstraint(
                condition=~Q(status="published") | Q(published_at__isnull=False),
                name="checklists_version_published_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="withdrawn") | Q(withdrawn_at__isnull=False),
                name="checklists_version_withdrawn_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_id} v{self.number}"
