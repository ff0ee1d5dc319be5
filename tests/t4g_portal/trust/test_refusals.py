"""What keeps production from starting, each with a sentence that says what to do."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from t4g_portal.trust.refusals import Deployment, refusals

ROOT = Path(__file__).resolve().parents[3]
KEY = secrets.token_urlsafe(50)
DATA_KEY = f"k1:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"
GOOD = Deployment(
    environment="production",
    secret_key=KEY,
    data_keys=DATA_KEY,
    is_debug=False,
    allowed_hosts=("portal.example.org",),
    trusted_origins=(),
    portal_url="https://portal.example.org",
    is_plain_http_accepted=False,
)
ZEROS = base64.urlsafe_b64encode(bytes(32)).decode()


def codes(**changes: Any) -> list[str]:
    return [one.code for one in refusals(replace(GOOD, **changes))]


def test_good_production_starts():
    assert codes() == []
    assert codes(allowed_hosts=(".example.org", "other.example.net")) == []
    assert codes(trusted_origins=("https://other.example.org",)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"environment": "prod"}, "E001"),
        ({"environment": "Production"}, "E001"),
        ({"environment": ""}, "E001"),
        ({"secret_key": KEY[:49]}, "E002"),
        ({"secret_key": "a" * 80}, "E002"),
        ({"secret_key": "ab" * 40}, "E002"),
        ({"secret_key": f"django-insecure-{KEY}"}, "E002"),
        ({"secret_key": f"ChangeMe{KEY}"}, "E002"),
        ({"data_keys": " , "}, "E003"),
        ({"data_keys": "k1"}, "E003"),
        ({"data_keys": "k1:short"}, "E003"),
        ({"data_keys": "k1:not base64 at all, with spaces"}, "E003"),
        ({"data_keys": f"k1:{ZEROS}"}, "E003"),
        ({"data_keys": f"{DATA_KEY},k2:{ZEROS}"}, "E003"),
        ({"is_debug": True}, "E004"),
        ({"allowed_hosts": ()}, "E005"),
        ({"allowed_hosts": ("portal.example.org", "*")}, "E005"),
        ({"allowed_hosts": ("portal.example.org", ".")}, "E005"),
        ({"allowed_hosts": ("portal.example.org", ".org")}, "E005"),
        ({"trusted_origins": ("https://*.example.org",)}, "E006"),
        ({"trusted_origins": ("http://portal.example.org",)}, "E006"),
        ({"portal_url": "http://localhost:8000"}, "E007"),
        ({"portal_url": "http://portal.example.org"}, "E008"),
        ({"portal_url": "https://elsewhere.example.org"}, "E009"),
    ],
)
def test_unsafe_production_is_refused(changes: dict[str, object], code: str):
    assert codes(**changes) == [code]


def test_data_key_is_not_the_secret_key():
    encoded = DATA_KEY.removeprefix("k1:").rstrip("=")

    assert codes(secret_key=f"{encoded}{encoded}") == ["E003"]


def test_plain_http_needs_a_word_of_consent():
    address = {"portal_url": "http://portal.example.org"}

    assert codes(**address) == ["E008"]
    assert codes(**address, is_plain_http_accepted=True) == []


def test_all_that_is_wrong_is_told_at_once():
    found = refusals(replace(GOOD, secret_key="x", is_debug=True, allowed_hosts=("*",)))

    assert [one.code for one in found] == ["E002", "E004", "E005"]
    assert all(one.sentence.endswith((".", "'")) for one in found)


def test_no_sentence_tells_a_key():
    found = refusals(
        replace(GOOD, secret_key="canary-canary", data_keys="k1:canary-canary")
    )

    assert "canary" not in " ".join(one.sentence for one in found)


def test_development_may_be_as_it_is():
    unsafe = replace(GOOD, environment="development", secret_key="x", is_debug=True)

    assert refusals(unsafe) == []


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL_ENV_FILE": os.devnull,
        "PORTAL_ENV": "production",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "SECRET_KEY": KEY,
        "PORTAL_DATA_KEYS": DATA_KEY,
        "ALLOWED_HOSTS": "portal.example.org",
        "PORTAL_URL": "https://portal.example.org",
        **changes,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "program",
    [
        ["-m", "t4g_portal.launcher"],
        ["-m", "t4g_portal.beat"],
        ["-m", "celery", "-A", "t4g_portal", "worker"],
        ["-c", "import t4g_portal.wsgi"],
        ["manage.py", "runserver"],
        ["manage.py", "migrate"],
    ],
    ids=lambda argv: argv[-1],
)
def test_no_program_starts_and_each_says_why(program: list[str], tmp_path: Path):
    result = run(*program, ALLOWED_HOSTS="*", PORTAL_DATA_DIR=str(tmp_path))

    assert result.returncode != 0
    assert "ALLOWED_HOSTS names '*', which is any host. Set it to" in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_environment_is_refused(tmp_path: Path):
    result = run("manage.py", "check", PORTAL_ENV="prod", PORTAL_DATA_DIR=str(tmp_path))

    assert result.returncode != 0
    assert "PORTAL_ENV is 'prod'. Set it to one of" in result.stderr


def test_check_lists_them_with_their_numbers(tmp_path: Path):
    result = run(
        *("manage.py", "check", "--deploy"),
        ALLOWED_HOSTS="*",
        DEBUG="true",
        LOG_LEVEL="DEBUG",
        PORTAL_DATA_DIR=str(tmp_path),
    )

    assert result.returncode == 1
    for code in ("t4g.E004", "t4g.E005", "t4g.W002"):
        assert f"({code})" in result.stderr


def test_check_of_a_good_production_finds_nothing(tmp_path: Path):
    result = run(
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        PORTAL_DATA_DIR=str(tmp_path),
    )

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("address", "consent", "expected"),
    [
        ("https://portal.example.org", "", "__Host-session True 31536000"),
        ("http://portal.example.org", "true", "sessionid False 0"),
    ],
)
def test_cookies_are_tied_to_host_and_tls(
    address: str, consent: str, expected: str, tmp_path: Path
):
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 't4g_portal.settings'; "
        "from django.conf import settings as s; "
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS)"
    )
    extra = {"ALLOW_PLAIN_HTTP": consent} if consent else {}

    result = run("-c", code, PORTAL_URL=address, PORTAL_DATA_DIR=str(tmp_path), **extra)

    assert result.stdout.strip() == expected, result.stderr
