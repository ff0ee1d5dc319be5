"""No secret reaches the log, in whatever clothes it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.lib.logs.scrubbing import HIDDEN, scrub, scrub_event

C = "canary0123456789canary"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"postgresql://portal:{C}@db:5432/portal is away", "postgresql://portal:"),
        (f"redis://:{C}@redis:6379/0", "@redis:6379/0"),
        (f"POST https://hooks.slack.com/services/T0/B0/{C} 404", "hooks.slack.com"),
        (f"https://discord.com/api/webhooks/1/{C}", "discord.com/api/webhooks"),
        (f"https://x.webhook.office.com/{C}", "webhook.office.com"),
        (f"https://api.telegram.org/bot1:{C}/sendMessage", "api.telegram.org"),
        (f"GET /ping/{C}/start 200", "/start 200"),
        (f"GET /feeds/on-call/{C}.ics 200", "/feeds/on-call/"),
        (f"Authorization: Bearer {C}", "Authorization"),
        (f"{{'Authorization': 'Basic {C}'}}", "Authorization"),
        (f"{{'Cookie': '__Host-session={C}; a=b'}}", "Cookie"),
        (f"Set-Cookie: sessionid={C}; Path=/", "Set-Cookie"),
        (f"the key t4g_ab12cd_{C} is unknown", "the key t4g_ab12cd_"),
        (f"xoxb-1234-{C}", ""),
        (f"ghp_{C}", ""),
        (f"token eyJhbGciOi.eyJzdWIiOi.{C} expired", "expired"),
        (f"host=db password={C} user=portal", "user=portal"),
        (f"https://a.example.org/x?token={C}&page=2", "page=2"),
        (f"https://a.example.org/x?api_key={C}", "api_key="),
        (f"{{'password': '{C}', 'name': 'Zoe'}}", "'name': 'Zoe'"),
        (f'{{"client_secret": "{C}"}}', "client_secret"),
        (f"k1:{(C * 2)[:43]}= is damaged", "k1:"),
        (f"-----BEGIN PRIVATE KEY-----\n{C}\n-----END PRIVATE KEY-----\nend", "\nend"),
    ],
)
def test_secret_is_taken_out_and_the_rest_stays(text: str, kept: str):
    found = scrub(text)

    assert C not in found
    assert HIDDEN in found
    assert kept in found


@pytest.mark.parametrize(
    "text",
    [
        "loop monitors.probe failed",
        "GET https://portal.example.org/monitors/7/?page=2",
        "t4g_portal.lib.loops",
        "basic monitoring of a bearer",
        "the cookie jar is empty",
        "2026-11-27T00:00:00Z 10.0.0.1:5432 refused",
    ],
)
def test_ordinary_words_stay(text: str):
    assert scrub(text) == text


def test_secrets_of_this_copy_are_known(settings):
    event = {"event": f"got {settings.SECRET_KEY}", "more": [settings.SECRET_KEY]}

    assert settings.SECRET_KEY not in str(scrub_event(None, "info", event))


def test_values_with_telling_names_are_hidden():
    event = {
        "event": "x",
        "password": C,
        "headers": {"X-Api-Key": C, "Authorization": C, "Accept": "json"},
        "status": 200,
        "exception": f"Traceback …\nValueError: secret={C}",
    }

    found = scrub_event(None, "info", event)

    assert C not in str(found)
    assert found["status"] == 200
    assert found["headers"]["Accept"] == "json"


@given(text=st.text(max_size=200))
def test_scrubbing_never_raises_and_settles(text: str):
    once = scrub(text)

    assert scrub(once) == scrub(scrub(once))
