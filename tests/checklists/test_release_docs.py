"""docs/releases.md: every example and both pipelines, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone

from checklists.models import ChecklistRun, Evidence, GateDecision
from telemetry.models import Deployment
from tests.api.asking import make_key
from tests.checklists.making import make_run, make_signer, make_template, publish, sign
from tests.factories import make_service

DOCS = Path(__file__).resolve().parents[2] / "docs" / "releases.md"
SHA = "0123456789abcdef0123456789abcdef01234567"

pytestmark = pytest.mark.django_db(transaction=True)


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    return [block for block in found if not block.startswith("export ")]


def pipelines(job: str = "gate") -> tuple[Any, Any]:
    """GitHub's and GitLab's file about a job; the gate's come first."""
    files = [yaml.safe_load(block) for block in blocks("yaml")]
    return tuple(files[:2] if job == "gate" else files[2:])


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def portal(live_server: Any) -> dict[str, str]:
    return {"PORTAL": f"{live_server.url}/api/v1", "KEY": make_key()[1].text}


@pytest.fixture
def signed(now: Any) -> ChecklistRun:
    """A release of the shop that is signed."""
    run = make_run(now=timezone.now(), service=make_service(slug="shop"), git_sha=SHA)
    sign(run.items.get(), make_signer(), now=timezone.now())
    return run


def test_every_example_answers_as_it_says(portal: dict[str, str]):
    make_service(slug="shop")
    template = make_template({"kind": "external"}, slug="release")
    publish(template, now=timezone.now())

    for block in blocks("sh"):
        said = re.match(r"# (\d{3})\n", block)
        asked = re.sub(
            r"^curl -sS (?!-D)",
            "curl -sS -w '\\\\n%{http_code}\\\\n' ",
            block,
            flags=re.M,
        )
        done = shell(asked, **portal, SHA=SHA)
        *_before, body, status = done.stdout.splitlines()
        assert status == (said.group(1) if said else "200"), (block, done)
        assert (done.returncode == 0) is (status != "409"), (block, done)
        json.loads(body)

    assert ChecklistRun.objects.get().deployment == "build 118"
    assert Evidence.objects.get().title == "Test suite"
    assert Deployment.objects.get().state == "succeeded"


@pytest.mark.parametrize("sha", [SHA, "f" * 40])
def test_pipelines_pass_what_is_signed_and_stop_at_the_rest(
    portal: dict[str, str], signed: ChecklistRun, sha: str
):
    github, gitlab = pipelines()
    (step,) = github["jobs"]["gate"]["steps"]
    (wait,) = gitlab["gate"]["script"]

    asked = shell(step["run"], **portal, GITHUB_SHA=sha)
    # Sleeping is not what is looked at.
    waited = shell(
        f"sleep() {{ :; }}\n{wait}",
        PORTAL=portal["PORTAL"],
        T4G_GATE_KEY=portal["KEY"],
        CI_COMMIT_SHA=sha,
        WAIT_MINUTES="2",
    )

    passes = sha == SHA
    assert (asked.returncode == 0) is passes, asked
    assert (waited.returncode == 0) is passes, waited
    assert ('"verdict":"pass"' in asked.stdout) is passes
    verdicts = GateDecision.objects.values_list("verdict", flat=True)
    assert set(verdicts) == {"pass" if passes else "block"}


def test_pipelines_deploy_after_the_gate_alone():
    github, gitlab = pipelines()

    assert github["jobs"]["deploy"]["needs"] == "gate"
    stages = gitlab["stages"]
    assert stages.index(gitlab["gate"]["stage"]) < stages.index(
        gitlab["deploy"]["stage"]
    )


@pytest.mark.parametrize(
    ("github_said", "gitlab_said", "state"),
    [("succeeded", "success", "succeeded"), ("failed", "canceled", "failed")],
)
def test_pipelines_tell_of_a_deployment_and_how_it_ended(
    portal: dict[str, str], github_said: str, gitlab_said: str, state: str
):
    make_service(slug="shop")
    github, gitlab = pipelines("deploy")
    start, _deploy, end = github["jobs"]["deploy"]["steps"]
    job = gitlab["deploy"]
    runner = {
        "GITHUB_SHA": SHA,
        "GITHUB_RUN_ID": "7001",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_ACTOR": "ana",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "t4g/shop",
        "STATE": github_said,
        "CI_COMMIT_SHA": SHA,
        "CI_JOB_ID": "42",
        "CI_JOB_URL": "https://gitlab.com/t4g/shop/-/jobs/42",
        "CI_JOB_STATUS": gitlab_said,
        "GITLAB_USER_LOGIN": "bo",
        "T4G_DEPLOY_KEY": portal["KEY"],
    }

    def run(script: str) -> str:
        done = shell(script, **portal, **runner)
        assert done.returncode == 0, done
        return Deployment.objects.latest("pk").state

    assert run(start["run"]) == "started"
    assert run(end["run"]) == state
    assert run("\n".join(job["before_script"])) == "started"
    assert run("\n".join(job["after_script"])) == state

    told = Deployment.objects.order_by("pk").values_list("source", "actor", "url")
    assert list(told) == [
        ("github", "ana", "https://github.com/t4g/shop/actions/runs/7001"),
        ("gitlab", "bo", "https://gitlab.com/t4g/shop/-/jobs/42"),
    ]


def test_telling_stops_no_deployment(portal: dict[str, str]):
    github, gitlab = pipelines("deploy")
    nowhere = {**portal, "PORTAL": "http://127.0.0.1:9", "T4G_DEPLOY_KEY": "t4g_x_y"}

    start, _deploy, end = github["jobs"]["deploy"]["steps"]
    script = "\n".join(gitlab["deploy"]["before_script"]).replace("--retry 3", "")
    job = dict.fromkeys(("CI_JOB_ID", "CI_JOB_URL", "GITLAB_USER_LOGIN"), "1")
    done = shell(script, **nowhere, **job, CI_COMMIT_SHA=SHA)

    assert start["continue-on-error"]
    assert end["continue-on-error"]
    assert end["if"] == "always()"
    assert "Failed to connect" in done.stderr or "refused" in done.stderr, done
    assert done.returncode == 0


def test_pipeline_that_reaches_no_portal_stops(portal: dict[str, str]):
    github, _gitlab = pipelines()
    (step,) = github["jobs"]["gate"]["steps"]
    script = step["run"].replace("--retry 3", "--retry 0")

    done = shell(script, PORTAL="http://127.0.0.1:9", KEY="t4g_x_y", GITHUB_SHA=SHA)

    assert done.returncode != 0
