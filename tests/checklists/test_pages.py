"""The pages of checklists: what stands first, one sheet to sign, and every refusal's words."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from checklists import queries, services
from checklists.actors import person
from checklists.models import ChecklistRun, Evidence, RunItem, SignOff
from t4g_portal.roles import AUDITOR, MANAGER, OPS
from tests.checklists.making import (
    OTHER_SHA,
    Found,
    ask_waiver,
    make_run,
    make_signer,
    make_template,
    only_item,
    publish,
    sign,
    standing,
    verified,
)
from tests.factories import make_service, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
DIALOG = {"X-Requested-With": "dialog"}


@pytest.fixture
def now() -> Any:
    return timezone.now()


@pytest.fixture
def zoe():
    return make_signer(username="zoe", first_name="Zoé", last_name="Martin")


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def words(response: Any) -> str:
    """The text of a page, without markup."""
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(text.replace("\u00a0", " ").replace("&#x27;", "'").split())


def item_url(item: RunItem, act: str = "") -> str:
    base = reverse("checklists:item", args=[item.run_id, item.key])
    return f"{base}{act}"


def signing(item: RunItem, **values: str) -> dict[str, str]:
    """What the sheet's form sends."""
    loaded = queries.load_run(item.run_id, now=timezone.now())
    return {
        "meaning": "checked",
        "comment": "",
        "seen": loaded.standing.of(item.key).seen,
        "password": PASSWORD,
        **values,
    }


class TestRunList:
    def test_without_a_template_it_says_what_comes(self, zoe):
        page = words(client_of(zoe).get("/checklists/"))

        assert "No run is open" in page
        assert "No checklist is published yet" in page

    def test_open_runs_say_ready_or_what_blocks_and_whose_it_is(self, zoe, now):
        make_run({"title": "Rollback rehearsed"}, now=now)
        ready = make_run({"title": "Logs"}, now=now)
        sign(only_item(ready), zoe, now=now)

        page = words(client_of(zoe).get("/checklists/"))

        assert "1 item blocks the release" in page
        assert "Rollback rehearsed 1 signature is missing. nobody owns it" in page
        assert "Ready: the gate is open" in page
        assert "1 waits for you" in page

    def test_past_runs_are_kept(self, zoe, now):
        run = make_run(now=now)
        services.runs.cancel(
            run_id=run.pk, reason="No release", actor=person(zoe), now=now
        )

        page = words(client_of(zoe).get("/checklists/?past"))

        assert "Cancelled" in page
        assert run.template_name in page

    def test_number_of_queries_does_not_grow_with_runs(self, zoe, now):
        client = client_of(zoe)
        counts = []
        for _ in range(2):
            for _ in range(3):
                sign(only_item(make_run(now=now)), zoe, now=now)
            with CaptureQueriesContext(connection) as asked:
                client.get("/checklists/")
            counts.append(len(asked))

        assert counts[0] == counts[1]


class TestOpening:
    def test_a_published_checklist_is_opened_for_a_release(self, zoe, now):
        version = publish(make_template({"title": "Logs"}), now=now)
        service = make_service()

        answer = client_of(zoe).post(
            "/checklists/new/",
            {
                "template": version.template_id,
                "service": service.pk,
                "environment": "Production",
                "git_sha": " ABCDEF0123 ",
                "title": "2026.12",
            },
        )

        run = ChecklistRun.objects.get()
        assert answer["Location"] == f"/checklists/{run.pk}/"
        assert (run.environment, run.git_sha) == ("production", "abcdef0123")
        assert run.opened_by == zoe

    def test_a_second_one_is_refused_with_what_to_do(self, zoe, now):
        run = make_run(now=now)

        answer = client_of(zoe).post(
            "/checklists/new/",
            {
                "template": run.template_version.template_id,
                "service": run.service_id,
                "environment": run.environment,
                "git_sha": OTHER_SHA,
            },
        )

        assert answer.status_code == 422
        assert "Move it to your commit" in words(answer)

    def test_garbage_is_answered_beside_its_field(self, zoe, now):
        publish(make_template(), now=now)

        answer = client_of(zoe).post(
            "/checklists/new/", {"git_sha": "main", "environment": "a b"}
        )

        assert answer.status_code == 422
        assert "That is no commit" in words(answer)
        assert "Use letters, digits and dashes" in words(answer)


class TestRunPage:
    def test_what_blocks_stands_before_what_waits_and_the_items(self, zoe, now):
        run = make_run(
            {"title": "Rollback rehearsed"},
            {"title": "Drill", "kind": "rule", "verifier": "drill_passed"},
            now=now,
        )
        verified(
            run.items.get(title="Drill"),
            Found(verdict="failed", code="none", values={"days": 30}),
            now=now,
        )

        page = words(client_of(zoe).get(f"/checklists/{run.pk}/"))

        blocks, mine, items = (
            page.index(part) for part in ("What blocks", "Waiting for you", "Items")
        )
        assert blocks < mine < items
        assert "2 items block the release" in page
        # What failed comes first, in the verifier's words.
        assert page.index("No drill in the last 30 days") < page.index(
            "1 signature is missing", blocks
        )
        assert "Sign 1 item" in page

    def test_sections_without_anything_to_do_are_folded(self, zoe, now):
        run = make_run(now=now)
        client = client_of(zoe)
        before = client.get(f"/checklists/{run.pk}/").content.decode()
        sign(only_item(run), zoe, now=now)
        after = client.get(f"/checklists/{run.pk}/").content.decode()

        assert '<details class="ops-card cl-section" open>' in before
        assert '<details class="ops-card cl-section">' in after

    def test_french_readers_read_the_french_text(self, zoe, now):
        run = make_run({"title": "Logs", "title_fr": "Journaux"}, now=now)

        page = words(
            client_of(zoe).get(
                f"/checklists/{run.pk}/", headers={"Accept-Language": "fr"}
            )
        )

        assert "Journaux" in page
        assert "Logs" not in page

    def test_signatures_show_name_time_and_meaning(self, zoe, now):
        run = make_run(now=now)
        sign(only_item(run), zoe, now=now, meaning="approved")

        page = words(client_of(make_user(role=AUDITOR)).get(f"/checklists/{run.pk}/"))

        assert "Ready: the gate is open" in page
        assert "Approved by Zoé Martin just now" in page
        assert "Waiting for you" not in page

    def test_refresh_is_the_part_alone_and_nothing_when_nothing_changed(self, zoe, now):
        run = make_run(now=now)
        client = client_of(zoe)
        part = client.get(f"/checklists/{run.pk}/?live")
        again = client.get(
            f"/checklists/{run.pk}/?live", headers={"If-None-Match": part["ETag"]}
        )

        assert "<html" not in part.content.decode()
        assert again.status_code in {200, 304}
        assert "<section" not in again.content.decode()

    def test_number_of_queries_does_not_grow_with_items(self, zoe, now):
        counts = []
        for size in (3, 30):
            run = make_run(*({"title": f"Item {n}"} for n in range(size)), now=now)
            for item in run.items.all():
                services.evidence.attach_note(
                    run_id=run.pk,
                    item_id=item.pk,
                    text="seen",
                    actor=person(zoe),
                    now=now,
                )
                sign(item, zoe, now=now)
            client = client_of(zoe)
            client.get(f"/checklists/{run.pk}/")
            with CaptureQueriesContext(connection) as asked:
                client.get(f"/checklists/{run.pk}/")
            counts.append(len(asked))

        assert counts[0] == counts[1]

    def test_unknown_run_is_a_page_that_is_not_there(self, zoe):
        assert client_of(zoe).get("/checklists/999999/").status_code == 404


class TestSigning:
    def test_one_sheet_and_a_password_sign(self, zoe, now):
        item = only_item(make_run(now=now))
        client = client_of(zoe)
        sheet = words(client.get(item_url(item)))

        answer = client.post(
            item_url(item, "sign/"), signing(item, comment="I looked"), follow=True
        )

        assert "Your password" in sheet
        assert f"I, Zoé Martin, vouch for “{item.title}”" in sheet
        assert f"You signed “{item.title}”" in words(answer)
        row = SignOff.objects.get()
        assert (row.user, row.meaning, row.comment) == (zoe, "checked", "I looked")
        assert row.address == "127.0.0.1"
        assert row.auth_method == "password"

    def test_the_next_one_needs_no_password_for_five_minutes(
        self, zoe, now, time_machine
    ):
        time_machine.move_to(now, tick=False)
        run = make_run({}, {}, {}, now=now)
        client = client_of(zoe)
        first, second, third = run.items.all()
        client.post(item_url(first, "sign/"), signing(first))

        again = client.get(item_url(second))
        client.post(item_url(second, "sign/"), signing(second, password=""))
        time_machine.move_to(now + timedelta(minutes=5, seconds=1), tick=False)
        late = client.post(item_url(third, "sign/"), signing(third, password=""))

        assert "You gave your password less than 5 minutes ago" in words(again)
        assert SignOff.objects.filter(item=second).exists()
        assert late.status_code == 422
        assert "This isn't your password" in words(late)
        assert not SignOff.objects.filter(item=third).exists()

    def test_wrong_password_signs_nothing_and_keeps_what_was_written(self, zoe, now):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "sign/"),
            signing(item, password="canary", comment="I looked", meaning="approved"),
        )

        body = answer.content.decode()
        assert answer.status_code == 422
        assert "This isn't your password" in words(answer)
        assert "I looked" in body
        assert "canary" not in body
        assert re.search(r'value="approved"[^>]*checked', body)
        assert not SignOff.objects.exists()

    def test_what_changed_meanwhile_is_not_signed(self, zoe, now):
        item = only_item(make_run(now=now))
        form = signing(item)
        services.evidence.attach_note(
            run_id=item.run_id,
            item_id=item.pk,
            text="it broke",
            actor=person(make_signer()),
            now=now,
        )

        answer = client_of(zoe).post(item_url(item, "sign/"), form)

        assert answer.status_code == 422
        assert "The item has changed since you opened it" in words(answer)
        assert "it broke" in words(answer)
        assert not SignOff.objects.exists()

    def test_who_opened_the_run_reads_why_they_can_not_sign(self, zoe, now):
        item = only_item(make_run({"forbid_self": True}, opened_by=zoe, now=now))

        sheet = client_of(zoe).get(item_url(item))
        answer = client_of(zoe).post(item_url(item, "sign/"), signing(item))

        assert "Whoever opened the run can't sign this item" in words(sheet)
        assert "vouch for" not in words(sheet)
        assert "Whoever opened the run can't sign this item" in words(answer)

    def test_no_meaning_is_no_signature(self, zoe, now):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "sign/"), signing(item, meaning="read")
        )

        assert answer.status_code == 422
        assert not SignOff.objects.exists()

    def test_in_a_dialog_a_refusal_is_the_sheet_alone(self, zoe, now):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "sign/"), signing(item, password="x"), headers=DIALOG
        )

        # With another status the dialog would hand the form to the browser.
        assert answer.status_code == 200
        assert "<html" not in answer.content.decode()
        assert "This isn't your password" in words(answer)

    def test_signing_needs_the_token_of_the_form(self, zoe, now):
        item = only_item(make_run(now=now))
        client = Client(enforce_csrf_checks=True)
        client.force_login(zoe)

        assert client.post(item_url(item, "sign/"), signing(item)).status_code == 403
        assert not SignOff.objects.exists()

    def test_revoking_keeps_the_row_and_closes_the_gate(self, zoe, now):
        item = only_item(make_run(now=now))
        row = sign(item, zoe, now=now)

        client_of(zoe).post(
            item_url(item, f"signatures/{row.pk}/revoke/"), {"reason": "Wrong screen"}
        )

        row.refresh_from_db()
        assert row.revoked_reason == "Wrong screen"
        assert not standing(item.run, now=now).is_ready
        sheet = words(client_of(zoe).get(item_url(item)))
        assert "Revoked by Zoé Martin: Wrong screen" in sheet

    def test_item_of_another_run_is_not_there(self, zoe, now):
        make_run({"key": "alpha"}, now=now)
        other = make_run({"key": "beta"}, now=now)

        answer = client_of(zoe).get(f"/checklists/{other.pk}/items/alpha/")

        assert answer.status_code == 404

    def test_signature_of_another_run_is_refused(self, zoe, now):
        row = sign(only_item(make_run(now=now)), zoe, now=now)
        other = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(other, f"signatures/{row.pk}/revoke/"), {"reason": "Mine"}
        )

        row.refresh_from_db()
        assert row.revoked_at is None
        assert "belongs to another run" in words(answer)


class TestEvidence:
    def test_link_note_and_file_are_kept(self, zoe, now):
        item = only_item(make_run(now=now))
        client = client_of(zoe)

        client.post(
            item_url(item, "evidence/link/"),
            {"title": "Dashboard", "url": "https://example.org/d"},
        )
        client.post(
            item_url(item, "evidence/note/"), {"title": "Seen", "text": "**All** green"}
        )
        client.post(
            item_url(item, "evidence/file/"),
            {"title": "Screen", "file": SimpleUploadedFile("a/é\n.png", b"\x89PNG")},
        )

        sheet = client.get(item_url(item)).content.decode()
        assert 'href="https://example.org/d"' in sheet
        assert "<strong>All</strong> green" in sheet
        row = Evidence.objects.get(kind="file")
        file = client.get(item_url(item, f"evidence/{row.pk}/file/"))
        assert file.content == b"\x89PNG"
        # Whatever it is, no browser shows it on our address.
        assert file["Content-Type"] == "application/octet-stream"
        assert file["Content-Disposition"].startswith("attachment")

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "ftp://example.org/x", "data:text/html,x", ""]
    )
    def test_address_that_is_none_is_refused(self, zoe, now, url):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "evidence/link/"), {"title": "x", "url": url}
        )

        assert answer.status_code == 422
        assert not Evidence.objects.exists()

    def test_file_that_is_too_big_is_refused_with_a_way_out(self, zoe, now):
        item = only_item(make_run(now=now))
        big = SimpleUploadedFile("big.bin", b"x" * (2 * 1024 * 1024 + 1))

        answer = client_of(zoe).post(
            item_url(item, "evidence/file/"), {"title": "Big", "file": big}
        )

        assert "larger than 2 MB" in words(answer)
        assert not Evidence.objects.exists()

    def test_in_a_dialog_the_sheet_stays_open(self, zoe, now):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "evidence/note/"),
            {"title": "Seen", "text": "Green"},
            headers=DIALOG,
        )

        assert answer.status_code == 200
        assert "The evidence is kept" in words(answer)

    def test_withdrawn_proof_counts_no_more(self, zoe, now):
        item = only_item(make_run(now=now))
        client = client_of(zoe)
        client.post(item_url(item, "evidence/note/"), {"title": "A", "text": "B"})
        sign(item, zoe, now=timezone.now())
        row = Evidence.objects.get()

        client.post(
            item_url(item, f"evidence/{row.pk}/withdraw/"), {"reason": "Other host"}
        )

        assert not standing(item.run, now=timezone.now()).is_ready

    def test_text_of_others_is_shown_not_obeyed(self, zoe, now):
        item = only_item(make_run({"title": "<script>alert(1)</script>"}, now=now))
        client = client_of(zoe)
        client.post(
            item_url(item, "evidence/note/"),
            {"title": "<img src=x>", "text": "<script>alert(2)</script>"},
        )

        for address in (item_url(item), f"/checklists/{item.run_id}/print/"):
            body = client.get(address).content.decode()
            assert "<script>alert" not in body
            assert "<img src=x>" not in body

    def test_portal_looks_again_when_asked(self, zoe, now):
        item = only_item(
            make_run({"kind": "rule", "verifier": "drill_passed"}, now=now)
        )

        answer = client_of(zoe).post(item_url(item, "verify/"), headers=DIALOG)

        assert "The portal has looked again" in words(answer)
        assert Evidence.objects.get().verdict == "failed"
        assert "No drill in the last 30 days. Run one." in words(answer)


class TestWaiver:
    def test_two_people_and_two_passwords_waive(self, zoe, now):
        item = only_item(make_run(now=now))
        max_ = make_signer(username="max", first_name="Max", last_name="B")
        asked = client_of(zoe).post(
            item_url(item, "waivers/"),
            {
                "reason": "Vendor is down",
                "risk": "Blind",
                "compensating_control": "By hand",
                "days": "7",
                "password": PASSWORD,
            },
        )
        waiver = item.waivers.get()
        own = words(client_of(zoe).get(item_url(item)))
        mine = words(client_of(max_).get("/checklists/mine/"))
        client_of(max_).post(
            item_url(item, f"waivers/{waiver.pk}/approve/"), {"password": PASSWORD}
        )

        assert asked.status_code == 302
        assert "Whoever asks for a waiver can't approve it" in own
        assert "Decide" in mine
        assert standing(item.run, now=timezone.now()).is_ready

    def test_refusing_needs_a_reason(self, zoe, now):
        item = only_item(make_run(now=now))
        waiver = ask_waiver(item, zoe, now=now)
        max_ = make_signer(username="max")
        address = item_url(item, f"waivers/{waiver.pk}/refuse/")

        without = client_of(max_).post(address, {"reason": " "})
        client_of(max_).post(address, {"reason": "Too much"})

        assert "Say why." in words(without)
        waiver.refresh_from_db()
        assert waiver.ended_as == "refused"

    @pytest.mark.parametrize("days", ["0", "91", "x", ""])
    def test_no_longer_than_90_days(self, zoe, now, days):
        item = only_item(make_run(now=now))

        answer = client_of(zoe).post(
            item_url(item, "waivers/"),
            {
                "reason": "a",
                "risk": "b",
                "compensating_control": "c",
                "days": days,
                "password": PASSWORD,
            },
        )

        assert answer.status_code == 422
        assert not item.waivers.exists()


class TestWholeRun:
    def test_new_commit_makes_everything_stale(self, zoe, now):
        run = make_run(now=now)
        sign(only_item(run), zoe, now=now)

        client_of(zoe).post(f"/checklists/{run.pk}/commit/", {"git_sha": OTHER_SHA})

        page = words(client_of(zoe).get(f"/checklists/{run.pk}/"))
        assert "1 item blocks the release" in page
        assert "signed for another commit" in page

    def test_unready_run_is_not_closed(self, zoe, now):
        run = make_run(now=now)

        answer = client_of(zoe).post(f"/checklists/{run.pk}/close/", follow=True)

        assert "It is not ready, so it can't be closed" in words(answer)
        assert ChecklistRun.objects.get().is_open

    def test_closed_run_offers_nothing_more(self, zoe, now):
        run = make_run(now=now)
        item = only_item(run)
        sign(item, zoe, now=now)
        client = client_of(zoe)
        client.post(f"/checklists/{run.pk}/close/")

        sheet = words(client.get(item_url(item)))
        answer = client.post(item_url(item, "sign/"), signing(item))

        assert ChecklistRun.objects.get().state == "closed"
        for act in ("Add a link", "Reopen", "Revoke", "vouch for"):
            assert act not in sheet
        assert answer.status_code == 422
        assert SignOff.objects.count() == 1

    def test_cancelling_needs_a_reason(self, zoe, now):
        run = make_run(now=now)
        client = client_of(zoe)

        without = client.post(f"/checklists/{run.pk}/cancel/", {"reason": ""})
        client.post(f"/checklists/{run.pk}/cancel/", {"reason": "No release"})

        assert without.status_code == 422
        assert ChecklistRun.objects.get().state == "cancelled"

    def test_signed_out_person_comes_back_to_the_run(self, now):
        item = only_item(make_run(now=now))

        answer = Client().post(item_url(item, "sign/"), {})

        assert answer["Location"].endswith(f"?next=/checklists/{item.run_id}/")


class TestMine:
    def test_only_what_i_may_sign_waits_for_me(self, zoe, now):
        make_run({"title": "For managers", "required_role": MANAGER.name}, now=now)
        make_run({"title": "For ops", "required_role": OPS.name}, now=now)

        page = words(client_of(zoe).get("/checklists/mine/"))

        assert "1 item waits for your signature" in page
        assert "For ops" in page
        assert "For managers" not in page

    def test_nothing_waits(self, zoe):
        assert "Nothing waits for you" in words(client_of(zoe).get("/checklists/mine/"))


class TestPaper:
    def test_every_signature_stands_with_name_time_meaning_and_hash(self, zoe, now):
        run = make_run(now=now, title="2026.12")
        item = only_item(run)
        revoked = sign(item, zoe, now=now)
        services.signing.revoke(
            run_id=run.pk, sign_off_id=revoked.pk, reason="Oops", user=zoe, now=now
        )
        row = sign(item, zoe, now=now, meaning="approved")

        page = words(client_of(zoe).get(f"/checklists/{run.pk}/print/"))

        assert f"{now:%Y-%m-%d %H:%M:%S} UTC" in page
        for part in (
            "2026.12",
            run.git_sha,
            "Zoé Martin",
            "Checked",
            "revoked",
            "Oops",
            "Approved",
            row.statement_hash,
            revoked.statement_hash,
            item.content_hash,
            "audit_verify --head",
            "simple electronic signature",
        ):
            assert part in page

    def test_the_run_is_handed_out_as_a_file(self, zoe, now):
        run = make_run(now=now)
        sign(only_item(run), zoe, now=now)

        answer = client_of(zoe).get(f"/checklists/{run.pk}/bundle.json")

        assert answer["Content-Type"] == "application/json"
        assert f"{run.template_slug}-{run.pk}.json" in answer["Content-Disposition"]
        assert "Zoé Martin" in json.dumps(answer.json(), ensure_ascii=False)
