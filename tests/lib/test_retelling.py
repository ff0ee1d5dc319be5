"""Stored sentences are said again in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from monitors.probes import failures
from monitors.probes.base import Phases
from t4g_portal.lib.egress import Stage
from t4g_portal.lib.retelling import retold, source_language

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("The connection was refused", "La connexion a été refusée"),
        ("HTTP 503, expected 200–299", "HTTP 503, attendu 200–299"),
        ("No answer within 2.5 s", "Pas de réponse en 2,5 s"),
        (
            "The name servers failed: no usable answer",
            "Les serveurs de noms ont échoué : aucune réponse exploitable",
        ),
        (
            'JSON services.db: expected "ok", saw "down"',
            'JSON services.db : attendu "ok", vu "down"',
        ),
        (
            "No answer within 2 s; DNS 3 ms, connect 12 ms, waiting for the first byte",
            "Pas de réponse en 2 s ; DNS 3 ms, connexion 12 ms, attente du premier octet",
        ),
        (
            "The connection was lost (reading the answer)",
            "La connexion a été perdue (lecture de la réponse)",
        ),
        ("target: Say what to probe", "target : Indiquez ce qu’il faut sonder"),
        (
            "2.1 s, above 1.8 s (threshold “Slow”)",
            "2,1 s, au-dessus de 1,8 s (seuil « Slow »)",
        ),
        (
            "3 days, below 14 days (threshold “Certificate”)",
            "3 jours, en dessous de 14 jours (seuil « Certificate »)",
        ),
        (
            "The certificate expired on 2026-03-02",
            "Le certificat a expiré le 2 mars 2026",
        ),
        (
            "No ping within 1 d 2 h and 5 min of grace",
            "Aucun signal en 1 j 2 h et 5 min de marge",
        ),
    ],
)
def test_a_stored_sentence_is_said_in_the_readers_language(stored, said):
    with translation.override("fr"):
        assert _spaced(retold(_joined(stored))) == said


def _joined(text: str) -> str:
    """Put the no-break spaces where durations have them."""
    for unit in ("d", "h", "min", "days"):
        text = text.replace(f" {unit} ", f"{NBSP}{unit} ")
    return text.replace(f"1{NBSP}d 2", f"1{NBSP}d{NBSP}2")


def _spaced(text: str) -> str:
    return text.replace(NBSP, " ").replace("\u202f", " ")


def test_lines_are_said_one_by_one():
    stored = "Login is down\nThe connection was refused\nSomething a person wrote"

    with translation.override("fr"):
        assert retold(stored).splitlines() == [
            "Login est en panne",
            "La connexion a été refusée",
            "Something a person wrote",
        ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nous redémarrons la base: 5 minutes",
        "Backup failed: disk full, giving up",
        "%(one)s; %(other)s",
        "%",
        "x" * 5_000,
        "(" * 500,
        "; " * 500,
    ],
)
def test_what_others_wrote_stays_as_it_is(text: str):
    with translation.override("fr"):
        assert retold(text) == text


def test_a_name_within_a_sentence_stays_as_it_is():
    with translation.override("fr"):
        assert retold("API: v2, beta (new) is down") == (
            "API: v2, beta (new) est en panne"
        )


def test_the_source_language_is_read_as_stored():
    with translation.override("en"):
        assert retold("The connection was refused") == "The connection was refused"


def test_the_engine_speaks_the_source_language_whoever_asks():
    with translation.override("fr"), source_language():
        result = failures.timed_out(
            timeout_s=2, phases=Phases(dns_ms=3, stage=Stage.CONNECT)
        )

    assert result.message == "No answer within 2 s; DNS 3 ms, connecting"


def test_a_shown_sentence_is_escaped():
    from django.template import Context, Template

    page = Template("{% load portal %}{{ text|retold }}")

    with translation.override("fr"):
        shown = page.render(Context({"text": "<b> is down"}))

    assert shown == "&lt;b&gt; est en panne"
