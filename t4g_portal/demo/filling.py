"""Makes a fresh database a demo's, and keeps a demo's in step with its ports.

Refuses a database that holds anything real.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.urls import reverse

from incidents.models import Incident, Service
from monitors.models import Monitor
from notifications.models import Contact
from notifications.verifying import verify_by_hand
from t4g_portal.configuration.importing import import_configuration
from t4g_portal.demo import past, past_checklists, past_deployments, past_kpis
from t4g_portal.demo.marking import DATABASE_MARK, folder, read_ports, write
from t4g_portal.lib.models import SeededKey
from t4g_portal.roles import MANAGER, ON_CALL, OPS, seed_roles

CONFIGURATION = Path(__file__).with_name("configuration.yaml")
ADMIN = "demo"
# Who acknowledged in the past, and may be signed in as.
_PEOPLE = (
    ("anna", "Anna", "Keller", ON_CALL),
    ("jules", "Jules", "Martin", OPS),
    ("sofia", "Sofia", "Rossi", MANAGER),
)


class UnableToFill(Exception):
    """The database is not a demo's; the text says what to do."""


def check_database() -> None:
    """Raise UnableToFill when made-up and real data would meet."""
    is_marked = SeededKey.objects.filter(key=DATABASE_MARK).exists()
    if is_marked and not settings.PORTAL_DEMO:
        raise UnableToFill(
            "This database holds demo data. Run it with `make demo`, or give this "
            "portal another database."
        )
    if settings.PORTAL_DEMO and not is_marked and _holds_anything():
        raise UnableToFill(
            "This database holds a real portal. Give the demo a directory of its own: "
            "PORTAL_DATA_DIR=var/demo make demo"
        )


def fill(*, now: datetime) -> bool:
    """Bring a demo to life: configuration, people and the past; return whether it was new.

    One that was filled before keeps everything; only addresses that moved are followed.
    """
    with transaction.atomic():
        _mark, is_new = SeededKey.objects.get_or_create(
            key=DATABASE_MARK, defaults={"seeded_at": now}
        )
        if is_new or _has_moved():
            _configure()
        # Whoever signs needs the role by then.
        seed_roles(now=now)
        people = _people()
        if is_new:
            _introduce(people, now)
            past.write(now=now, people=people)
            past_deployments.write(now=now)
            past_kpis.write(now=now, people=people)
            past_checklists.write(now=now, people=people)
    _tell_jobs_where_to_ping()
    return is_new


def password() -> str:
    """Return the password of everybody in this demo, made once."""
    path = folder(settings.DATA_DIR) / "password"
    if not path.is_file():
        write(path, secrets.token_urlsafe(9))
    return path.read_text()


def _holds_anything() -> bool:
    return (
        User.objects.exists()
        or Monitor.objects.exists()
        or Incident.objects.exists()
        or Service.objects.exists()
    )


def _has_moved() -> bool:
    ports = read_ports(settings.DATA_DIR)
    target = Monitor.objects.filter(name="Database").values_list("target", flat=True)
    return bool(target) and target[0] != f"127.0.0.1:{ports.database}"


def _configure() -> None:
    ports = read_ports(settings.DATA_DIR)
    slack = f"http://127.0.0.1:{ports.http}/slack"
    import_configuration(
        data=(CONFIGURATION.read_text() % asdict(ports)).encode(),
        environ={
            "DEMO_SLACK_ALERTS": f"{slack}/shop-alerts",
            "DEMO_SLACK_SUPPORT": f"{slack}/shop-support",
        },
    )


def _people() -> dict[str, User]:
    """Return the demo's people, made when missing; all share one password."""
    known = {user.username: user for user in User.objects.all()}
    if ADMIN not in known:
        User.objects.create_superuser(username=ADMIN, email="", password=password())
    for username, first_name, last_name, role in _PEOPLE:
        if username in known:
            continue
        user = User.objects.create_user(
            username=username,
            first_name=first_name,
            last_name=last_name,
            password=password(),
            is_staff=True,
        )
        user.groups.set(Group.objects.filter(name=role.name))
        known[username] = user
    return known


def _introduce(people: dict[str, User], now: datetime) -> None:
    """Give those on call their accounts, and their addresses the proof they need."""
    for contact in Contact.objects.all():
        contact.user = next(
            (user for user in people.values() if user.get_full_name() == contact.name),
            None,
        )
        contact.save(update_fields=["user"])
        for address in contact.addresses.all():
            verify_by_hand(address=address, now=now)


def _tell_jobs_where_to_ping() -> None:
    jobs = Monitor.objects.filter(kind="heartbeat").order_by("pk").first()
    if jobs is None:
        return
    address = reverse("monitors:ping", args=[jobs.ping_key])
    write(
        folder(settings.DATA_DIR) / "ping_url",
        f"http://127.0.0.1:{settings.PORT}{address}",
    )
