"""`manage.py roles`: makes the roles' groups and keeps them as the portal means them."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from t4g_portal.roles import ROLES, edited_roles, reset_role, seed_roles


class Command(BaseCommand):
    help = (
        "Makes the groups of the roles. Groups that were edited, renamed or deleted stay "
        "as they are."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--reset",
            metavar="ROLE",
            choices=[role.name for role in ROLES],
            help="give this role exactly what the portal means it to have",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reset"]:
            reset_role(name=options["reset"], now=timezone.now())
            self.stdout.write(f"{options['reset']} is as it was made.")
            return
        made = seed_roles(now=timezone.now())
        if made:
            self.stdout.write(f"Roles made or brought up to date: {', '.join(made)}.")
        if not options["verbosity"]:
            return
        for name, (more, less) in edited_roles().items():
            changes = [f"+ {one}" for one in sorted(more)]
            changes += [f"- {one}" for one in sorted(less)]
            self.stdout.write(f"{name} was edited and left alone: {', '.join(changes)}")
