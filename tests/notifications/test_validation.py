"""What channels, addresses and time zones may hold."""

from __future__ import annotations

import pytest

from notifications.validation import (
    missing_fields,
    signing_key,
    validate_address,
    validate_channel,
    validate_time_zone,
)
from tests.notifications.making import SIGNING_SECRET

HOOK = "https://hooks.slack.com/services/T0/B0/abc"


@pytest.mark.parametrize(
    ("kind", "address", "secret"),
    [
        ("email", "", ""),
        ("email", "ana@example.org", ""),
        ("email", "ana@example.org, bo@example.org", ""),
        ("slack", "", ""),
        ("slack", "", HOOK),
        ("slack", "", "http://127.0.0.1:8065/hooks/x"),
        ("slack", "", "http://localhost:8065/hooks/x"),
        ("webhook", "https://x.example/hook?a=b", SIGNING_SECRET),
        ("webhook", "", ""),
    ],
)
def test_what_is_right_or_still_empty_is_accepted(kind, address, secret):
    assert validate_channel(kind=kind, address=address, secret=secret) == {}


@pytest.mark.parametrize(
    ("kind", "address", "secret", "field"),
    [
        ("pigeon", "", "", "kind"),
        ("", "", "", "kind"),
        ("email", "ana", "", "address"),
        ("email", "ana@example.org; bo@example.org", "", "address"),
        ("email", "ana@example.org\nBcc: x@y.z", "", "address"),
        ("email", "ana@example.org, Ana@example.org", "", "address"),
        ("email", ", ".join(f"a{n}@example.org" for n in range(21)), "", "address"),
        ("email", "ana@example.org", "x", "secret"),
        ("slack", "#alerts", HOOK, "address"),
        ("slack", "", "xoxb-token", "secret"),
        ("slack", "", "http://hooks.slack.com/services/x", "secret"),
        ("slack", "", "https://", "secret"),
        ("slack", "", f" {HOOK}", "secret"),
        ("slack", "", f"{HOOK}\n", "secret"),
        ("slack", "", "https://h.example:99999/x", "secret"),
        ("slack", "", "file:///etc/passwd", "secret"),
        ("webhook", "ftp://x.example", SIGNING_SECRET, "address"),
        ("webhook", "https://user:pass@x.example", SIGNING_SECRET, "address"),
        ("webhook", "https://[::1", SIGNING_SECRET, "address"),
        ("webhook", "https://x.example", "whsec_short", "secret"),
        ("webhook", "https://x.example", "not base64 at all", "secret"),
        ("webhook", "https://x.example", "whsec_" + "A" * 200, "secret"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(kind, address, secret, field):
    problems = validate_channel(kind=kind, address=address, secret=secret)

    assert list(problems) == [field]
    assert problems[field]


@pytest.mark.parametrize(
    ("kind", "address", "has_secret", "fields"),
    [
        ("email", "", False, ["address"]),
        ("email", "ana@example.org", False, []),
        ("slack", "", False, ["secret"]),
        ("slack", "", True, []),
        ("webhook", "", False, ["address", "secret"]),
        ("webhook", "https://x.example", True, []),
    ],
)
def test_what_a_channel_still_needs_depends_on_its_kind(
    kind, address, has_secret, fields
):
    missing = missing_fields(kind=kind, address=address, has_secret=has_secret)

    assert list(missing) == fields


def test_a_signing_secret_reads_the_same_with_and_without_prefix_and_padding():
    bare = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU="

    assert signing_key(bare) == b"01234567890123456789012345"
    assert signing_key("whsec_" + bare.rstrip("=")) == signing_key(bare)


@pytest.mark.parametrize(
    ("kind", "value", "is_right"),
    [
        ("email", "ana@example.org", True),
        ("email", "ana@bücher.example", True),
        ("email", "Ana <ana@example.org>", False),
        ("email", "a@b.c, d@e.f", False),
        ("phone", "+33612345678", True),
        ("phone", "0612345678", False),
        ("phone", "+33 6 12 34 56 78", False),
        ("pigeon", "coo", False),
    ],
)
def test_a_personal_address_fits_its_kind(kind, value, is_right):
    assert (validate_address(kind=kind, value=value) == {}) is is_right


def test_a_time_zone_is_one_that_exists():
    assert validate_time_zone(time_zone="") == {}
    assert validate_time_zone(time_zone="Europe/Paris") == {}
    assert "time_zone" in validate_time_zone(time_zone="Paris")
    assert "time_zone" in validate_time_zone(time_zone="../etc/passwd")
