"""One message to each number of a destination, and one outcome for all of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from notifications.transports.base import Destination, Receipt, TransportError
from notifications.validation import MAX_NUMBERS, recipients


def send_to_each(*, destination: Destination, send: Callable[[str], str]) -> Receipt:
    """Send to all numbers at once; `send` returns the message's id.

    Taken for one is taken: another try would tell that one twice. The others are named
    in the warning. When none is taken, raises what leaves the most hope: one number that
    nobody has must not end the page of another that could not be reached just now.
    """
    numbers = recipients(destination.address)
    if not numbers:
        raise TransportError(_("There is no phone number. Enter one."), permanent=True)
    language = get_language()

    def outcome(number: str) -> str | TransportError:
        with override(language):
            try:
                return send(number)
            except TransportError as error:
                return error

    # One after another, ten that are answered slowly would outlast the lease.
    with ThreadPoolExecutor(max_workers=MAX_NUMBERS) as pool:
        outcomes = dict(zip(numbers, pool.map(outcome, numbers), strict=True))
    ids = {n: one for n, one in outcomes.items() if isinstance(one, str)}
    refused = {n: one for n, one in outcomes.items() if not isinstance(one, str)}
    if not ids:
        raise min(refused.values(), key=_hopelessness)
    said = "; ".join(f"{number}: {error.detail}" for number, error in refused.items())
    account = destination.account
    return Receipt(
        detail={
            "answer": account.name if account else "",
            "message_ids": list(ids.values()),
        },
        message_id=next(iter(ids.values())),
        warning=_("Some numbers were refused: %(said)s") % {"said": said}
        if said
        else "",
    )


def _hopelessness(error: TransportError) -> tuple[bool, bool, bool]:
    """Sort what may have been taken first, then what another try or provider may mend."""
    return (
        not error.is_perhaps_taken,
        error.permanent,
        not error.is_providers_fault,
    )
