"""Several numbers of one destination have one outcome."""

from __future__ import annotations

import pytest

from notifications.transports.base import Destination, TransportError
from notifications.transports.numbers import send_to_each

NUMBERS = "+33612345678, +33698765432"

GONE = TransportError("no such number", permanent=True)
AWAY = TransportError("503", permanent=False, is_providers_fault=True)
UNSURE = TransportError("no answer", permanent=False, is_perhaps_taken=True)


def outcome(*errors: TransportError) -> TransportError:
    left = iter(errors)

    def send(number: str) -> str:
        raise next(left)

    with pytest.raises(TransportError) as raised:
        send_to_each(destination=Destination("channel:1", "sms", NUMBERS), send=send)
    return raised.value


@pytest.mark.parametrize("errors", [(GONE, AWAY), (AWAY, GONE)])
def test_number_that_nobody_has_does_not_end_the_others_page(errors):
    assert outcome(*errors) is AWAY


@pytest.mark.parametrize("errors", [(AWAY, UNSURE), (UNSURE, AWAY)])
def test_what_may_have_been_taken_is_looked_up_first(errors):
    assert outcome(*errors) is UNSURE


def test_all_gone_is_final():
    assert outcome(GONE, GONE).permanent
