"""The environment variables: listed where operators look, and refused when unsafe."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from notifications.delivery import SLOTS
from t4g_portal import embedded_db
from t4g_portal.launcher import WORKER_THREADS

ROOT = Path(__file__).resolve().parent.parent.parent
# Read by the launcher, the image and docker-compose.yml, not by the settings.
READ_ELSEWHERE = {"HOST", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "WEB_WORKERS"}


def read_by_settings() -> set[str]:
    tree = ast.parse((ROOT / "t4g_portal/settings.py").read_text())
    return {
        str(ast.literal_eval(node.args[0]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.func.attr in {"str", "int", "bool", "list", "float", "url", "json"}
    }


def listed() -> list[str]:
    text = (ROOT / ".env.example").read_text()
    return re.findall(r"(?m)^#?([A-Z][A-Z0-9_]*)=", text)


def import_settings(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL_ENV_FILE": os.devnull,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", "from t4g_portal import settings as s; print(s.PORT)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_example_lists_each_variable_once():
    assert set(listed()) == read_by_settings() | READ_ELSEWHERE
    assert len(listed()) == len(set(listed()))


def test_variables_read_elsewhere_are_read():
    files = ("t4g_portal/launcher.py", "Dockerfile", "docker-compose.yml")
    text = "".join((ROOT / name).read_text() for name in files)

    assert {name for name in READ_ELSEWHERE if name not in text} == set()


@pytest.mark.parametrize("missing", ["SECRET_KEY", "PORTAL_DATA_KEYS"])
def test_production_refuses_to_start_without_its_keys(missing: str, tmp_path: Path):
    keys = {"SECRET_KEY": "s" * 50, "PORTAL_DATA_KEYS": "k1:" + "A" * 43 + "="}
    del keys[missing]

    result = import_settings(
        PORTAL_ENV="production", PORTAL_DATA_DIR=str(tmp_path), **keys
    )

    assert result.returncode != 0
    assert f"ImproperlyConfigured: {missing} is not set" in result.stderr
    assert "python -c" in result.stderr
    assert not (tmp_path / "keys").exists()


def test_development_needs_no_variable(tmp_path: Path):
    result = import_settings(PORTAL_DATA_DIR=str(tmp_path))

    assert result.stdout == "8000\n", result.stderr


def test_compose_waits_for_migrations_and_keeps_secrets_out():
    text = (ROOT / "docker-compose.yml").read_text()
    services = yaml.safe_load(text)["services"]

    for name in ("web", "worker-probes", "worker-alerts", "beat"):
        waits = services[name]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert "--appendonly yes" in " ".join(services["redis"]["command"])
    assert "noeviction" in " ".join(services["redis"]["command"])
    for secret in re.findall(r"(?m)(?:PASSWORD|KEYS?): (.*)$", text):
        assert secret.startswith("${"), secret


def test_workers_of_compose_serve_every_queue():
    from django.conf import settings

    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    words = [word for s in services.values() for word in s.get("command", [])]
    served = {
        queue
        for word in words
        if word.startswith("--queues=")
        for queue in word.removeprefix("--queues=").split(",")
    }

    ticks = settings.CELERY_BEAT_SCHEDULE.values()
    for service in services.values():
        options = dict(
            word.partition("=")[::2] for word in service.get("command", [])[3:]
        )
        mine = options.get("--queues", "").split(",")
        loops = [tick for tick in ticks if tick["options"]["queue"] in mine]
        # A loop runs once at a time: none ever waits for a hanging one.
        assert not loops or int(options["--concurrency"]) > len(loops)
    assert len(ticks) < WORKER_THREADS
    assert served >= {tick["options"]["queue"] for tick in ticks}


def test_database_has_a_connection_for_every_thread():
    """Also when every loop and every sender that a round has left writes at once."""
    # Pages, probes, the supervisor's looks, and what PostgreSQL keeps for its superuser.
    others = 20

    # PostgreSQL's own default, too, which is compose's.
    limit = int(embedded_db.SETTINGS["max_connections"])
    assert WORKER_THREADS + sum(SLOTS.values()) + others <= limit == 100
