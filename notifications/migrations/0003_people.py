from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import notifications.models.contact


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_method_route_and_delivery")]

    operations = [
        migrations.AddField(
            model_name="contact",
            name="is_catch_all",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Told when a policy reaches nobody. One contact at most.",
                verbose_name="catch-all",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_catch_all", True)),
                fields=("is_catch_all",),
                name="notifications_contact_one_catch_all",
                violation_error_message="Another contact is the catch-all already.",
            ),
        ),
        migrations.CreateModel(
            name="AddressVerification",
            fields=[
                (
                    "address",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="verification",
                        serialize=False,
                        to="notifications.address",
                    ),
                ),
                (
                    "verified_value",
                    models.CharField(blank=True, default="", max_length=254),
                ),
                (
                    "verified_at",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="verified"
                    ),
                ),
                ("code_nonce", models.CharField(blank=True, default="", max_length=32)),
                (
                    "code_value",
                    models.CharField(blank=True, default="", max_length=254),
                ),
                ("code_sent_at", models.DateTimeField(blank=True, null=True)),
                ("code_expires_at", models.DateTimeField(blank=True, null=True)),
                ("tries_left", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "verbose_name": "verification of an address",
                "verbose_name_plural": "verifications of addresses",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PersonalRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "contact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules",
                        to="notifications.contact",
                        verbose_name="contact",
                    ),
                ),
                (
                    "priority",
                    models.CharField(
                        choices=[
                            ("p0", "P0 Critical"),
                            ("p1", "P1 High"),
                            ("p2", "P2 Medium"),
                            ("p3", "P3 Low"),
                        ],
                        max_length=2,
                        verbose_name="priority",
                    ),
                ),
                (
                    "method",
                    models.CharField(
                        choices=notifications.models.contact.method_kinds,
                        max_length=20,
                        verbose_name="by",
                    ),
                ),
                (
                    "delay_s",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Seconds since the page. 0: at once.",
                        validators=[django.core.validators.MaxValueValidator(86400)],
                        verbose_name="after",
                    ),
                ),
            ],
            options={
                "verbose_name": "personal rule",
                "verbose_name_plural": "personal rules",
                "ordering": ["priority", "delay_s", "pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("contact", "priority", "method"),
                        name="notifications_personalrule_once_a_method",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("priority__in", ["p0", "p1", "p2", "p3"])),
                        name="notifications_personalrule_priority_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("delay_s__lte", 86400)),
                        name="notifications_personalrule_delay_bounded",
                    ),
                ],
            },
        ),
    ]
