"""Imported calendars from a server on loopback, and the last good copy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import translation
from django.utils.translation import gettext

from incidents.models import ImportedShift, Schedule, ScheduleState
from incidents.oncall import ical, importing, who
from notifications.models import Address, Notification
from tests.factories import make_address, make_contact
from tests.incidents.oncall.making import make_schedule, reachable
from tests.incidents.oncall.test_ical import calendar

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


class Feed:
    """What the other side answers."""

    def __init__(self) -> None:
        self.status, self.content, self.location = 200, b"", ""
        self.url = ""
        # Whether it sends byte by byte.
        self.drips = False


@pytest.fixture
def feed(settings) -> Iterator[Feed]:
    answer, gone = Feed(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = answer.status if self.path != "/moved" else 302
            self.send_response(status)
            if status == 302:
                self.send_header("Location", answer.location)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if not answer.drips:
                self.wfile.write(answer.content)
                return
            with suppress(ConnectionError):
                for byte in answer.content:
                    self.wfile.write(bytes([byte]))
                    gone.wait(0.02)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    answer.url = f"http://127.0.0.1:{server.server_port}/secret.ics"
    yield answer
    gone.set()
    server.shutdown()
    thread.join()
    server.server_close()


def days(*numbers: int, name: str = "Ana") -> bytes:
    return calendar(
        *(
            f"UID:{n}\nDTSTART:202603{n:02}T090000Z\nDTEND:202603{n:02}T170000Z\nSUMMARY:{name} on call"
            for n in numbers
        )
    )


@pytest.fixture
def schedule(feed) -> Schedule:
    make_contact(name="Ana")
    return make_schedule(name="On call", ical_url=feed.url)


def fetch(schedule: Schedule, **rest) -> ScheduleState:
    importing.import_one(schedule_id=schedule.pk, now=NOW, **rest)
    return ScheduleState.objects.get()


def test_events_become_shifts_of_who_they_name(schedule, feed):
    feed.content = days(10, 11) + b""

    state = fetch(schedule)

    shift = who.on_call(schedule_id=schedule.pk, at=NOW + timedelta(days=1))
    assert shift.why.kind == "imported"
    assert ImportedShift.objects.count() == 2
    assert (state.fetched_at, state.error, state.strangers) == (NOW, "", [])


def test_whoever_is_unknown_is_named_and_on_call_for_nothing(schedule, feed):
    feed.content = days(10, name="Anatole")

    assert fetch(schedule).strangers == ["Anatole on call"]
    assert not ImportedShift.objects.exists()


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("Anne D’Almeida", "Astreinte: Anne D’Almeida"),
        ("Jean (nuit)", "Jean (nuit)"),
        # Composed here, decomposed there.
        ("Zo\u00e9 Martin", "Zoe\u0301 Martin on call"),
    ],
)
def test_names_are_found_however_they_are_written(schedule, feed, name, summary):
    contact = make_contact(name=name)
    feed.content = days(10, name=summary)

    assert fetch(schedule).strangers == []
    assert ImportedShift.objects.get().contact_id == contact.pk


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>Sign in</html>"), (500, b""), (404, b""), (200, b"")],
)
def test_error_page_never_empties_a_schedule(schedule, feed, status, content):
    feed.content = days(10, 11)
    fetch(schedule)
    feed.status, feed.content = status, content

    with pytest.raises(importing.UnableToImport):
        fetch(schedule)

    state = ScheduleState.objects.get()
    assert ImportedShift.objects.count() == 2
    assert (state.failure_count, state.failed_at) == (1, NOW)
    assert state.error
    assert "secret.ics" not in state.error


def test_calendar_that_loses_most_of_its_shifts_waits_for_a_click(schedule, feed):
    feed.content = days(10, 11, 12, 13)
    fetch(schedule)
    feed.content = days(10)

    state = fetch(schedule)
    assert (state.held_lost_count, ImportedShift.objects.count()) == (3, 4)

    state = fetch(schedule, is_meant=True)
    assert (state.held_lost_count, ImportedShift.objects.count()) == (0, 1)


def test_empty_but_valid_calendar_waits_too_and_half_is_taken(schedule, feed):
    feed.content = days(10, 11, 12, 13)
    fetch(schedule)
    feed.content = calendar()
    assert fetch(schedule).held_lost_count == 4

    feed.content = days(10, 11)
    assert fetch(schedule).held_lost_count == 0
    assert ImportedShift.objects.count() == 2


def test_only_shift_that_goes_without_anything_else_waits_too(schedule, feed):
    feed.content = days(10)
    fetch(schedule)
    feed.content = calendar()

    assert fetch(schedule).held_lost_count == 1
    assert ImportedShift.objects.count() == 1


def test_shifts_that_change_hands_or_move_by_an_hour_are_not_lost(schedule, feed):
    bo = make_contact(name="Bo")
    feed.content = days(10, 11, 12, 13)
    fetch(schedule)
    feed.content = days(10, 11, 12, 13, name="Bo").replace(b"T09", b"T10")

    assert fetch(schedule).held_lost_count == 0
    assert {row.contact_id for row in ImportedShift.objects.all()} == {bo.pk}


def test_somebody_hears_at_once_of_a_gap_in_their_language(schedule, feed):
    reachable(make_contact(name="Ops", is_catch_all=True, language="fr"))
    feed.content = days(10, 11, 12, 13)
    fetch(schedule)
    assert not Notification.objects.exists()
    feed.content = days(10, 11, 13)

    fetch(schedule)
    fetch(schedule)

    assert ImportedShift.objects.count() == 3
    [letter] = Notification.objects.all()
    with translation.override("fr"):
        said = gettext("The imported calendar of %(schedule)s leaves a gap")
    assert letter.message["title"] == said % {"schedule": "On call"}
    assert "12" in letter.message["text"]


def test_address_changed_while_it_was_fetched_brings_nothing(
    schedule, feed, monkeypatch
):
    feed.content = days(10)
    read = ical.read_events

    def slowly(**values):
        row = Schedule.objects.get()
        row.ical_url = "https://example.org/other.ics"
        row.save()
        return read(**values)

    monkeypatch.setattr(importing, "read_events", slowly)
    importing.import_one(schedule_id=schedule.pk, now=NOW)

    assert not ImportedShift.objects.exists()


def test_whoever_proved_an_address_goes_before_who_only_claims_it(schedule, feed):
    claims, has_proof = make_contact(name="Zed"), make_contact(name="Bo")
    Address.objects.create(contact=claims, kind="email", value="bo@example.org")
    make_address(contact=has_proof, kind="email", value="bo@example.org")
    feed.content = days(10, name="Night").replace(
        b"SUMMARY", b"ATTENDEE:mailto:bo@example.org\r\nSUMMARY"
    )

    fetch(schedule)

    assert ImportedShift.objects.get().contact_id == has_proof.pk


def test_answer_that_drips_is_given_up(schedule, feed, monkeypatch):
    monkeypatch.setattr(importing, "TIMEOUT_S", 0.2)
    feed.content, feed.drips = days(10), True

    # Each byte comes in time for the client.
    with pytest.raises(importing.UnableToImport, match="No answer within"):
        fetch(schedule)


def test_redirects_are_followed_a_little_and_only_through_the_guard(schedule, feed):
    feed.content = days(10)
    schedule.ical_url = feed.url.replace("secret.ics", "moved")
    schedule.save()
    feed.location = "/secret.ics"
    fetch(schedule)
    assert ImportedShift.objects.count() == 1

    for location, sentence in (
        ("/moved", "on and on"),
        ("file:///etc/passwd", "full URL"),
        ("https://10.0.0.1/", "EGRESS_ALLOWED_NETWORKS"),
    ):
        feed.location = location
        with pytest.raises(importing.UnableToImport, match=sentence):
            fetch(schedule)


def test_somebody_hears_of_the_fourth_failure_once(schedule, feed, settings):
    settings.PORTAL_LANGUAGE = "en"
    reachable(make_contact(name="Ops", is_catch_all=True))
    feed.status = 503

    for _ in range(6):
        assert importing.import_all(now=NOW) == 0

    [letter] = Notification.objects.all()
    assert letter.message["title"] == "The calendar of On call can't be imported"


def test_address_taken_out_takes_its_shifts_with_it(schedule, feed):
    feed.content = days(10)
    fetch(schedule)
    schedule.ical_url = ""
    schedule.save()

    shift = who.on_call(schedule_id=schedule.pk, at=NOW + timedelta(days=1))
    assert shift.contact_id is None
    assert importing.import_all(now=NOW) == 0
