"""docs/api.md: every example, run as it stands against a portal that listens."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from incidents import intake
from tests.api.asking import make_key
from tests.factories import make_monitor, make_priority_rules, make_service
from tests.kpis.making import make_kpi

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def examples() -> list[str]:
    """The shell blocks, without the one that sets address and key."""
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    return [block for block in blocks if not block.startswith("export ")]


def statuses(block: str) -> str:
    """What the last command of a block answers: 200 unless it says otherwise."""
    found = re.match(r"# (\d{3})\n", block)
    return found.group(1) if found else ("201" if "/timeline/" in block else "200")


@pytest.mark.django_db(transaction=True)
def test_every_example_answers_as_it_says(live_server: Any):
    make_priority_rules()
    for _ in range(2):
        make_monitor()
    now = timezone.now()
    intake.trigger(
        dedup_key="example",
        service=make_service(),
        title="HTTP 503",
        priority="p0",
        now=now,
        started_at=now,
    )
    make_kpi()
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL": f"{live_server.url}/api/v1",
        "KEY": make_key()[1].text,
    }
    found = examples()

    assert len(found) > 25
    for block in found:
        # The status of the last command stands on a line of its own.
        asked = re.sub(
            r"^curl -sS (?!-D)",
            "curl -sS -w '\\\\n%{http_code}\\\\n' ",
            block,
            flags=re.M,
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", asked],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        *_before, body, status = done.stdout.splitlines()
        assert (done.returncode, status) == (0, statuses(block)), (
            block,
            done.stdout,
            done.stderr,
        )
        json.loads(body)
