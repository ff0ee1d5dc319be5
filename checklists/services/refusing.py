"""Saying no: what every act may be refused with, and the lock it begins with."""

from __future__ import annotations

from django.utils.translation import gettext as _

from checklists.models import ChecklistRun, RunItem

MAX_TEXT = 2_000


class Refused(Exception):
    """Nothing was done. `code` is for programs, `message` tells people what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def locked_run(run_id: int) -> ChecklistRun:
    """Lock an open run until the transaction ends; every act on it begins here.

    Raises Refused when it is over, ChecklistRun.DoesNotExist.
    """
    run = (
        ChecklistRun.objects.select_for_update(of=["self"], no_key=True)
        .select_related("service")
        .get(pk=run_id)
    )
    if not run.is_open:
        raise Refused(
            "run_over",
            _("This run is over, so nothing in it changes any more. Open a new run."),
        )
    return run


def item_of(run: ChecklistRun, item_id: int) -> RunItem:
    """Return an item of a run; raises Refused for one of another run."""
    item = RunItem.objects.filter(run=run, pk=item_id).first()
    if item is None:
        raise Refused(
            "foreign_item", _("This item belongs to another run. Open that one.")
        )
    return item


def written(text: str, *, code: str, message: str) -> str:
    """Return a text without space around it; raises Refused when there is none."""
    text = text.replace("\x00", "").strip()
    if not text:
        raise Refused(code, message)
    if len(text) > MAX_TEXT:
        raise Refused(
            "too_long",
            _("That is too long. Use at most %(count)s characters.")
            % {"count": MAX_TEXT},
        )
    return text
