"""The production shape on loopback: what docker-compose.yml runs, without containers.

Commands, variables and health checks come out of docker-compose.yml, Dockerfile and
.env.example, so that a change there is tested here.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from bench.portal import ROOT, free_port
from tests.flows.portals import until
from tests.flows.stores import Postgres, Redis

HOST = "portal.example.org"
PATH = f"{Path(sys.executable).parent}:{os.defpath}"
# What each process must end within after SIGTERM, in seconds.
STOP_S = 10.0


@dataclass(frozen=True)
class Service:
    """One service of docker-compose.yml that runs our image."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    health_argv: list[str] | None
    has_volume: bool


@dataclass
class Program:
    """A running service."""

    service: Service
    process: subprocess.Popen[bytes]
    log: Path
    host_name: str

    def terminate(self) -> None:
        """Ask it to stop, as `docker stop` does."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Production:
    """All programs with their two stores."""

    directory: Path
    postgres: Postgres
    redis: Redis
    services: dict[str, Service]
    port: int
    programs: list[Program] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, name: str) -> Program:
        """Start one container's worth of a service."""
        service = self.services[name]
        host_name = f"{name}-{next(self._numbers)}"
        log = self.directory / f"{host_name}.log"
        argv = list(service.argv)
        if argv[0] == "celery":
            # Each container has a host name of its own.
            argv.append(f"--hostname=celery@{host_name}")
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=service.environment | {"HOSTNAME": host_name},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        program = Program(service, process, log, host_name)
        self.programs.append(program)
        return program

    def run(self, name: str, *argv: str, **environment: str) -> str:
        """`docker compose run --rm NAME …`; without words the service's own command."""
        service = self.services[name]
        done = subprocess.run(
            list(argv) or service.argv,
            cwd=ROOT,
            env=service.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_healthy(self, program: Program) -> bool:
        """Run the container's health check."""
        assert program.service.health_argv is not None
        done = subprocess.run(
            program.service.health_argv,
            cwd=ROOT,
            env=program.service.environment | {"HOSTNAME": program.host_name},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def client(self, **options: Any) -> httpx.Client:
        """A browser behind the proxy that ends TLS."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Host": HOST, "X-Forwarded-Proto": "https"},
            timeout=15,
            **options,
        )

    def get(self, path: str, *, timeout_s: float = 15) -> httpx.Response:
        with self.client() as client:
            return client.get(path, timeout=timeout_s)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(sql.encode(), values or None).fetchall()

    def import_config(self, text: str, **environment: str) -> None:
        path = self.directory / "config.yaml"
        path.write_text(text)
        command = ["python", "manage.py", "config", "import", str(path)]
        self.run("web", *command, **environment)

    def said(self) -> str:
        """Everything that all programs wrote, for the report of a failed test."""
        return "\n".join(f"== {p.host_name}\n{p.said()}" for p in self.programs)

    def assert_alive(self) -> None:
        """No program has ended: nothing restarts them here."""
        dead = [p for p in self.programs if p.process.poll() is not None]
        assert not dead, self.said()

    def stop(self) -> None:
        for program in self.programs:
            program.terminate()
        deadline = time.monotonic() + 2 * STOP_S
        for program in self.programs:
            try:
                program.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(program.process.pid, signal.SIGKILL)
                program.process.wait()


@contextmanager
def production(
    directory: Path,
    *,
    postgres: Postgres,
    redis: Redis,
    shape: tuple[str, ...],
    has_pages: bool = False,
) -> Iterator[Production]:
    """Migrate, start the services named in `shape`, wait until they are up.

    Without static files, which take as long as all the rest, there are no pages.
    """
    services = read_services(
        directory=directory,
        places={
            "@postgres:5432": f"@127.0.0.1:{postgres.port}",
            "@redis:6379": f"@127.0.0.1:{redis.port}",
        },
        POSTGRES_PASSWORD=postgres.password,
        REDIS_PASSWORD=redis.password,
    )
    shop = Production(
        directory=directory,
        postgres=postgres,
        redis=redis,
        services=services,
        port=int(services["web"].environment["PORT"]),
    )
    try:
        for service in shop.services.values():
            # The image has it; without a volume it is read-only.
            Path(service.environment["PORTAL_DATA_DIR"]).mkdir()
        with collecting_static_files(directory) if has_pages else nullcontext():
            shop.run("migrate")
        for name in shape:
            shop.start(name)
        until(
            lambda: _is_up(shop),
            seconds=60,
            what="the web process",
        )
        yield shop
    except BaseException:
        sys.stderr.write(shop.said())
        raise
    finally:
        shop.stop()


def _is_up(shop: Production) -> bool:
    shop.assert_alive()
    try:
        return shop.get("/health").status_code == 200
    except httpx.TransportError:
        return False


# --- docker-compose.yml, Dockerfile, .env ----------------------------------------


def env_file(**values: str) -> dict[str, str]:
    """`.env` as an operator makes it: the example with its empty lines filled in."""
    text = (ROOT / ".env.example").read_text()
    found = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", text))
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    filled = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "PORTAL_DATA_KEYS": f"k1:{key}",
        "ALLOWED_HOSTS": HOST,
        "PORTAL_URL": f"https://{HOST}",
        "POSTGRES_PASSWORD": secrets.token_hex(12),
        "REDIS_PASSWORD": secrets.token_hex(12),
        # Nothing but what the test watches on this machine; English messages.
        "PORTAL_SEED": "off",
        "EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8",
        "PORTAL_LANGUAGE": "en",
    }
    missing = {name for name, value in found.items() if not value} - set(filled)
    assert not missing, f"the test must fill in {missing}"
    return found | filled | values


def read_services(
    *, directory: Path, places: Mapping[str, str], **settings: str
) -> dict[str, Service]:
    """Return our services as compose would start them, on loopback.

    `places`: what stands where a host and port of compose's network stood.
    """
    dotenv = env_file(**settings)
    port = free_port()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    image = _read_dockerfile()
    return {
        name: _read_service(
            name,
            spec,
            image=image,
            dotenv=dotenv,
            places=places,
            environment={
                "PATH": PATH,
                "PORTAL_ENV_FILE": os.devnull,
                "STATIC_ROOT": str(directory / "staticfiles"),
                "PORTAL_DATA_DIR": str(directory / f"data-{name}"),
                "PORT": str(port),
            },
        )
        for name, spec in compose["services"].items()
        if "build" in spec
    }


def _read_service(
    name: str,
    spec: dict[str, Any],
    *,
    image: _Image,
    dotenv: Mapping[str, str],
    places: Mapping[str, str],
    environment: Mapping[str, str],
) -> Service:
    variables = image.environment | (dict(dotenv) if "env_file" in spec else {})
    for key, value in spec["environment"].items():
        filled = interpolate(str(value), dotenv)
        for there, here in places.items():
            filled = filled.replace(there, here)
        variables[key] = filled
    data_dir = variables["PORTAL_DATA_DIR"]
    variables |= environment
    command = [interpolate(word, dotenv) for word in spec.get("command", [])]
    health_argv: list[str] | None = image.health_argv
    if check := spec.get("healthcheck"):
        kind, *words = (
            interpolate(word, dotenv).replace(data_dir, variables["PORTAL_DATA_DIR"])
            for word in check.get("test", ["NONE"])
        )
        shell = ["sh", "-c"] if kind == "CMD-SHELL" else []
        health_argv = [*shell, *words] or None
    mounts = [str(volume).split(":")[1] for volume in spec.get("volumes", [])]
    return Service(
        name,
        command or image.argv,
        variables,
        health_argv,
        has_volume=data_dir in mounts,
    )


@dataclass(frozen=True)
class _Image:
    environment: dict[str, str]
    argv: list[str]
    health_argv: list[str]


def _dockerfile() -> str:
    """The stage that becomes the image, one instruction a line."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return text[text.rindex("\nFROM ") :]


@contextmanager
def collecting_static_files(directory: Path) -> Iterator[None]:
    """Do meanwhile what the image's build does, with no variable of production set."""
    (command,) = re.findall(r"&& PORTAL_DATA_DIR=\S+ (python .*?) &&", _dockerfile())
    process = subprocess.Popen(
        command.split(),
        cwd=ROOT,
        env={
            "PATH": PATH,
            "PORTAL_ENV_FILE": os.devnull,
            "STATIC_ROOT": str(directory / "staticfiles"),
            "PORTAL_DATA_DIR": str(directory / "build"),
        },
    )
    try:
        yield
    finally:
        assert process.wait() == 0
    # It needs no database: the image has no PostgreSQL.
    assert not (directory / "build" / "pg").exists()


def _read_dockerfile() -> _Image:
    final = _dockerfile()
    environment: dict[str, str] = {}
    for line in re.findall(r"(?m)^ENV (.*)$", final):
        environment |= dict(word.split("=", 1) for word in line.split())
    (argv,) = re.findall(r"(?m)^CMD (\[.*\])$", final)
    (health,) = re.findall(r"(?m)^HEALTHCHECK .*CMD (\[.*\])$", final)
    return _Image(environment, json.loads(argv), json.loads(health))


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; `$$` is a dollar.

    Compose refuses what a message asks for; here it stays empty, and we refuse.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        default = match["word"] if match["operator"] == ":-" else ""
        return variables.get(match["name"]) or default

    pattern = r"\$\$|\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\}"
    return re.sub(pattern, value, text)
