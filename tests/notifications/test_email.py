"""Mail against a real SMTP server on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest
import trustme
from django.conf import settings as django

from notifications.message import Fact, Section
from notifications.transports import smtp
from notifications.transports.base import Destination, TransportError
from notifications.transports.email import EmailTransport
from tests.notifications.making import make_message
from tests.notifications.servers import MailHost, refuse_login


def send(message=None, *, to="ana@example.org", key="key:1", destination="channel:1"):
    return EmailTransport().send(
        destination=Destination(destination, "email", to),
        message=message or make_message(),
        idempotency_key=key,
    )


def test_a_mail_has_plain_text_html_and_the_servers_receipt(mail_host):
    receipt = send(make_message(title="Café <b> fermé", url_label="Ouvrir"))

    (mail,) = mail_host.mails
    plain = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert mail["Subject"] == "P0 · Café <b> fermé"
    assert mail["To"] == "ana@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<alerts.token4good.com>"
    assert "Café <b> fermé" in plain
    assert "Since: 10:00:14" in plain
    assert "https://ops.example/incidents/42/" in plain
    assert "Café &lt;b&gt; fermé" in html
    assert 'href="https://ops.example/incidents/42/"' in html
    assert receipt.detail["answer"] == "250 2.0.0 OK queued as T4G1"
    assert receipt.detail["message_id"] == mail["Message-ID"]


@pytest.mark.parametrize("to_whom", ["address:7", "channel:1"])
def test_a_person_may_choose_how_to_be_told_and_nobody_unsubscribes(mail_host, to_whom):
    send(destination=to_whom)

    (mail,) = mail_host.mails
    said = [mail.get_body((one,)).get_content() for one in ("plain", "html")]
    is_personal = to_whom.startswith("address:")
    assert [f"{django.PORTAL_URL}/me/" in one for one in said] == [is_personal] * 2
    assert mail["List-Unsubscribe"] is None


def test_every_line_fits_seven_bits_and_the_standards_length(mail_host):
    send(make_message(title="é" * 300, text="ü" * 20_000))

    (raw,) = mail_host.raw
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_one_thread_is_one_conversation(mail_host):
    first = make_message(
        title="P0 Shop: down",
        thread_title="P0 Shop: down",
        thread_key="incident:1",
        is_first_in_thread=True,
    )
    later = make_message(
        title="P0 Shop is up again",
        thread_title="P0 Shop: down",
        thread_key="incident:1",
    )

    send(first, key="a")
    send(later, key="b")
    send(later, key="c")

    opening, second, third = mail_host.mails
    assert second["In-Reply-To"] == second["References"] == opening["Message-ID"]
    assert third["References"] == opening["Message-ID"]
    ids = {mail["Message-ID"] for mail in mail_host.mails}
    assert len(ids) == 3
    assert opening["Subject"] == "P0 Shop: down"
    assert second["Subject"] == "Re: P0 Shop: down"
    assert opening["References"] is None


def test_threads_and_destinations_do_not_mix(mail_host):
    opening = make_message(thread_key="incident:1", is_first_in_thread=True)
    other = make_message(thread_key="incident:2", is_first_in_thread=True)

    send(opening, key="a", destination="channel:1")
    send(opening, key="b", destination="channel:2")
    send(other, key="c", destination="channel:1")

    assert len({mail["Message-ID"] for mail in mail_host.mails}) == 3


def test_the_same_notification_sent_twice_has_the_same_message_id(mail_host):
    send(key="same")
    send(key="same")

    one, two = mail_host.mails
    assert one["Message-ID"] == two["Message-ID"]


def test_no_header_can_be_injected(mail_host):
    evil = "Down\r\nBcc: evil@example.org\r\n\r\n<script>"

    send(make_message(title=evil, thread_key=evil, thread_title=evil), key="a\tb")

    (mail,) = mail_host.mails
    assert mail["Bcc"] is None
    assert mail["To"] == "ana@example.org"
    assert "Bcc: evil@example.org" in mail["Subject"]
    assert "<script>" not in mail.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "ana@example.org\r\nBcc: evil@example.org",
        "ana@example.org, evil",
        "<ana@example.org> SIZE=1",
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(mail_host, address):
    with pytest.raises(TransportError) as caught:
        send(to=address)

    assert caught.value.permanent is True
    assert mail_host.mails == []


def test_an_international_domain_is_sent_in_its_ascii_form(mail_host):
    send(to="ana@bücher.example")

    (mail,) = mail_host.mails
    assert mail["To"].endswith("@xn--bcher-kva.example")


def test_a_recipient_who_is_refused_does_not_stop_the_others(mail_host):
    mail_host.replies["gone@example.org"] = "550 5.1.1 no such user"

    receipt = send(to="ana@example.org, gone@example.org")

    assert len(mail_host.mails) == 1
    assert receipt.detail["refused"] == {"gone@example.org": "550 5.1.1 no such user"}
    assert "gone@example.org" in receipt.warning


@pytest.mark.parametrize(
    ("reply", "is_permanent"),
    [("451 4.7.1 greylisted", False), ("550 5.1.1 no such user", True)],
)
def test_the_reply_to_the_recipient_decides(mail_host, reply, is_permanent):
    mail_host.replies["ana@example.org"] = reply

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent is is_permanent
    assert caught.value.detail == reply


def test_one_temporary_refusal_among_permanent_ones_is_temporary(mail_host):
    mail_host.replies["a@example.org"] = "550 5.1.1 no such user"
    mail_host.replies["b@example.org"] = "450 4.2.0 try later"

    with pytest.raises(TransportError) as caught:
        send(to="a@example.org, b@example.org")

    assert caught.value.permanent is False


@pytest.mark.parametrize(
    ("reply", "is_permanent"),
    [("452 4.3.1 disk full", False), ("554 5.7.1 looks like spam", True)],
)
def test_the_reply_to_the_data_decides(mail_host, reply, is_permanent):
    mail_host.data_replies.append(reply)

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent is is_permanent
    assert caught.value.detail == reply


def test_a_wrong_password_waits_to_be_set_right_and_is_never_shown(settings):
    host = MailHost(authenticator=refuse_login, auth_require_tls=False)
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", host.port
    settings.EMAIL_USE_TLS = False
    settings.EMAIL_HOST_USER = "portal"
    settings.EMAIL_HOST_PASSWORD = "canary-password"
    try:
        with pytest.raises(TransportError) as caught:
            send()
    finally:
        host.stop()

    assert caught.value.permanent is False
    assert "535" in caught.value.detail
    assert "canary" not in caught.value.detail


def test_nobody_listening_is_a_temporary_failure(settings):
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.permanent is False


def test_a_server_without_tls_gets_no_mail_when_tls_is_asked_for(mail_host, settings):
    settings.EMAIL_USE_TLS = True

    with pytest.raises(TransportError, match="STARTTLS") as caught:
        send()

    assert caught.value.permanent is False
    assert mail_host.mails == []


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_mail_travels_over_tls_to_a_trusted_server(settings, monkeypatch, mode):
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    monkeypatch.setattr(smtp, "ssl_context", lambda: client)
    key = "tls_context" if mode == "starttls" else "ssl_context"
    host = MailHost(**{key: server})
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", host.port
    settings.EMAIL_USE_TLS = mode == "starttls"
    settings.EMAIL_USE_SSL = mode == "tls"
    try:
        send()
    finally:
        host.stop()

    assert len(host.mails) == 1


def test_a_server_that_drips_its_greeting_is_cut_off_at_the_deadline(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = server.getsockname()[1]
        is_over = threading.Event()
        dripper = threading.Thread(target=drip, args=(server, is_over))
        dripper.start()
        started = time.monotonic()

        with pytest.raises(TransportError, match="No answer within") as caught:
            smtp.submit(
                sender="a@example.org",
                recipients=["b@example.org"],
                content=b"x",
                deadline_s=0.5,
            )

        is_over.set()
        dripper.join()
    assert caught.value.permanent is False
    assert time.monotonic() - started < 5


def test_a_mail_whose_reply_is_lost_may_have_arrived(mail_host):
    async def take_and_hang_up(server, session, envelope):
        server.transport.abort()
        return "250 OK"

    mail_host.handle_DATA = take_and_hang_up

    with pytest.raises(TransportError) as caught:
        send()

    assert caught.value.is_perhaps_taken
    assert not caught.value.permanent


def drip(server, is_over):
    connection, _ = server.accept()
    with connection:
        while not is_over.wait(0.05):
            try:
                connection.sendall(b"2")
            except OSError:
                return


def test_without_a_mail_server_the_message_is_kept(settings):
    settings.EMAIL_HOST = ""

    receipt = send()

    assert receipt.detail["kept"] is True


def test_facts_keep_their_lines_in_html(mail_host):
    send(make_message(facts=(Fact("Trace", "a\nb"),)))

    assert "a<br>b" in mail_host.mails[0].get_body(("html",)).get_content()


def test_sections_stand_under_their_headings(mail_host):
    sections = (
        Section("Values", (Fact("Active users", "1 284\nup"), Fact("Sessions", ""))),
        Section("Incidents <b>", (Fact("Backend", "12 min"),)),
    )

    send(make_message(facts=(), sections=sections))

    (mail,) = mail_host.mails
    plain = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    start = lines.index("VALUES")
    assert lines[start : start + 6] == [
        "VALUES",
        "Active users: 1 284",
        "up",
        "Sessions:",
        "INCIDENTS <B>",
        "Backend: 12 min",
    ]
    assert html.index("Values</h2>") < html.index("1 284<br>up")
    assert "Incidents &lt;b&gt;</h2>" in html
