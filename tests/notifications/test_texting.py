"""What an SMS says, and what a voice says."""

from __future__ import annotations

import pytest

from notifications import gsm7
from notifications.texting import sms_text, spoken_text
from tests.notifications.making import make_message

LINK = "https://ops.example/a/" + "x" * 70


def test_p0_is_one_part_however_long_it_is():
    message = make_message(title="Détecté " * 30, ack_url=LINK, url="")

    text = sms_text(message, can_reply=False)

    assert gsm7.parts(text) == 1
    assert text.startswith("P0 - Détecté")
    assert text.endswith(f"... {LINK}")


def test_the_link_gives_way_where_a_reply_does_the_same():
    message = make_message(
        title="Détecté " * 30, ack_url=LINK, url="", answer="Répondez 1a=acquitter"
    )

    text = sms_text(message, can_reply=True)

    assert gsm7.parts(text) == 1
    assert LINK not in text
    assert text.endswith("... Répondez 1a=acquitter")


def test_nobody_is_told_to_answer_where_nothing_reads_it():
    message = make_message(
        short="P0 API down.", ack_url="https://ops.example/a/1", answer="Reply 1a=ack"
    )

    assert sms_text(message, can_reply=False) == "P0 API down. https://ops.example/a/1"
    assert sms_text(message, can_reply=True) == (
        "P0 API down. Reply 1a=ack https://ops.example/a/1"
    )


def test_without_a_number_to_answer_with_the_link_stays():
    message = make_message(title="Détecté " * 30, ack_url=LINK, url="")

    assert sms_text(message, can_reply=True).endswith(LINK)


@pytest.mark.parametrize(
    "title",
    [
        "€" * 90,
        "[a→b] " * 30,
        "Vérification de la chaîne d’intégration…" * 5,
        "👩‍💻🔥 équipe " * 20,
        "a" * 300,
    ],
)
@pytest.mark.parametrize("is_again", [False, True])
def test_what_to_answer_stays_however_the_name_is_spelled(title, is_again):
    message = make_message(short=f"P0 {title}.", answer="Répondez 12a=acquitter")
    if is_again:
        message = message.as_reminder()

    text = sms_text(message, can_reply=True)

    assert gsm7.width(text) <= 160
    assert text.endswith(" Répondez 12a=acquitter")
    assert "?" not in text


def test_pictures_leave_no_hole():
    message = make_message(short="P0 🔥 Équipe 👍🏽 café: 70 °C.")

    assert sms_text(message, can_reply=True) == "P0 Équipe café: 70 deg C."


def test_the_link_is_whole_or_not_there():
    message = make_message(short="P0 API down", ack_url=LINK + "y" * 60)

    assert sms_text(message, can_reply=False) == "P0 API down"


def test_others_may_take_three_parts():
    message = make_message(priority="p1", title="a" * 300, text="b" * 300, url="")

    text = sms_text(message, can_reply=False)

    assert gsm7.parts(text) == 3


def test_what_was_written_for_sms_is_said_as_it_is():
    message = make_message(short="P0 API down 3/3. Rép. 1a=ack")

    assert sms_text(message, can_reply=True) == "P0 API down 3/3. Rép. 1a=ack"


@pytest.mark.parametrize("short", ["", "P0 API down"])
def test_a_drill_and_a_reminder_say_so(short):
    message = make_message(short=short, mark="DRILL").as_reminder()

    assert sms_text(message, can_reply=True).startswith("Reminder - DRILL")
    assert spoken_text(message).startswith("Reminder , DRILL")


def test_nobody_reads_links_aloud():
    message = make_message(text="See https://ops.example/incidents/42/ now")

    assert "https" not in spoken_text(message)
