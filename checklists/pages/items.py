"""The sheet of an item: read it, sign it, bring proof, waive it. One act a request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from checklists import verifying
from checklists.actors import person
from checklists.models import Evidence, RunItem, SignOff
from checklists.page_forms import (
    FileForm,
    LinkForm,
    NoteForm,
    OwnerForm,
    ReasonForm,
    SignForm,
    WaiverForm,
)
from checklists.pages.acting import VIEW, acting, load, proof, reader_of, user_of
from checklists.queries import LoadedRun
from checklists.services import Refused, evidence, items, signing, waivers
from checklists.showing.lines import title_of
from checklists.showing.sheet import (
    ADD_EVIDENCE,
    CHANGE_EVIDENCE,
    CHANGE_RUN,
    SIGN,
    WAIVE,
    former_signatures,
)
from checklists.showing.sheet import sheet as sheet_of
from t4g_portal.lib import reauthentication
from t4g_portal.lib.access import requires
from t4g_portal.lib.client_address import client_address
from t4g_portal.lib.pages import render_page
from t4g_portal.lib.reauthentication import UnableToConfirm

Act = Callable[[RunItem, datetime], object]


@require_safe
@requires(VIEW)
def sheet(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """One item with its proof and signatures, and the form to sign it."""
    now = timezone.now()
    loaded, item = _found(pk, key, now)
    return _sheet(request, loaded, item, now=now)


@acting(SIGN)
def sign(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Sign the item as it was read."""
    form = SignForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        wanted = form.cleaned_data
        return signing.sign(
            run_id=pk,
            item_id=item.pk,
            user=user_of(request),
            meaning=wanted["meaning"],
            comment=wanted["comment"],
            seen_statement_hash=wanted["seen"],
            proof=proof(request, now),
            address=client_address(request) or None,
            now=now,
        )

    done = _("You signed “%(title)s”.")
    return _act(request, pk, key, act, form=("sign", form), done=done, ends=True)


@acting(SIGN)
def revoke(request: HttpRequest, pk: int, key: str, sign_off: int) -> HttpResponse:
    """Take a signature back."""
    form = ReasonForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return signing.revoke(
            run_id=pk,
            sign_off_id=sign_off,
            reason=form.cleaned_data["reason"],
            user=user_of(request),
            now=now,
        )

    done = _("The signature is revoked.")
    return _act(request, pk, key, act, form=("revoke", form), done=done)


@acting(ADD_EVIDENCE)
def add_link(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Bring proof that stands elsewhere."""
    form = LinkForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return evidence.attach_link(
            run_id=pk,
            item_id=item.pk,
            url=form.cleaned_data["url"],
            title=form.cleaned_data["title"],
            actor=person(user_of(request)),
            now=now,
        )

    return _act(request, pk, key, act, form=("link", form), done=_brought())


@acting(ADD_EVIDENCE)
def add_note(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Write down what was seen."""
    form = NoteForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return evidence.attach_note(
            run_id=pk,
            item_id=item.pk,
            title=form.cleaned_data["title"],
            text=form.cleaned_data["text"],
            actor=person(user_of(request)),
            now=now,
        )

    return _act(request, pk, key, act, form=("note", form), done=_brought())


@acting(ADD_EVIDENCE)
def add_file(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Keep a file as proof."""
    form = FileForm(request.POST, request.FILES)

    def act(item: RunItem, now: datetime) -> object:
        file = form.cleaned_data["file"]
        return evidence.attach_file(
            run_id=pk,
            item_id=item.pk,
            name=file.name,
            data=file.read(),
            title=form.cleaned_data["title"],
            actor=person(user_of(request)),
            now=now,
        )

    return _act(request, pk, key, act, form=("file", form), done=_brought())


@require_safe
@requires(VIEW)
def file(request: HttpRequest, pk: int, key: str, evidence_id: int) -> HttpResponse:
    """Hand out a file that was kept as proof: always as a download, never shown."""
    row = get_object_or_404(
        Evidence,
        pk=evidence_id,
        item__run=pk,
        item__key=key,
        kind=Evidence.Kind.FILE,
    )
    response = HttpResponse(
        bytes(row.file or b""), content_type="application/octet-stream"
    )
    name = "".join(letter for letter in row.file_name if letter.isprintable())
    response.headers["Content-Disposition"] = (
        content_disposition_header(as_attachment=True, filename=name or "file")
        or "attachment"
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


@acting(CHANGE_EVIDENCE)
def withdraw(request: HttpRequest, pk: int, key: str, evidence_id: int) -> HttpResponse:
    """Let proof count no more."""
    form = ReasonForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return evidence.withdraw(
            run_id=pk,
            evidence_id=evidence_id,
            reason=form.cleaned_data["reason"],
            actor=person(user_of(request)),
            now=now,
        )

    done = _("It is withdrawn. What was signed on it counts no more.")
    return _act(request, pk, key, act, form=("withdraw", form), done=done)


@acting(ADD_EVIDENCE)
def verify(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Have the portal look again now, for somebody who waits."""

    def act(item: RunItem, now: datetime) -> object:
        return verifying.verify(run_id=pk, item_id=item.pk, now=now)

    return _act(request, pk, key, act, done=_("The portal has looked again."))


@acting(WAIVE)
def ask_waiver(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Ask to release without the item."""
    form = WaiverForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        wanted = form.cleaned_data
        return waivers.request(
            run_id=pk,
            item_id=item.pk,
            user=user_of(request),
            reason=wanted["reason"],
            risk=wanted["risk"],
            compensating_control=wanted["compensating_control"],
            expires_at=form.expires_at(now=now),
            proof=proof(request, now),
            address=client_address(request) or None,
            now=now,
        )

    done = _("A second person has to approve it.")
    return _act(request, pk, key, act, form=("waiver", form), done=done)


@acting(WAIVE)
def approve_waiver(
    request: HttpRequest, pk: int, key: str, waiver: int
) -> HttpResponse:
    """Approve a waiver as the second person."""

    def act(item: RunItem, now: datetime) -> object:
        return waivers.approve(
            run_id=pk,
            waiver_id=waiver,
            user=user_of(request),
            proof=proof(request, now),
            address=client_address(request) or None,
            now=now,
        )

    done = _("The waiver is approved. The gate closes again when it ends.")
    return _act(request, pk, key, act, done=done, ends=True)


@acting(WAIVE)
def refuse_waiver(request: HttpRequest, pk: int, key: str, waiver: int) -> HttpResponse:
    """Say no to a waiver."""
    form = ReasonForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return waivers.refuse_request(
            run_id=pk,
            waiver_id=waiver,
            reason=form.cleaned_data["reason"],
            user=user_of(request),
            now=now,
        )

    done = _("The waiver is refused.")
    return _act(request, pk, key, act, form=("refuse", form), done=done)


@acting(WAIVE)
def end_waiver(request: HttpRequest, pk: int, key: str, waiver: int) -> HttpResponse:
    """End a waiver before its time."""
    form = ReasonForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return waivers.end(
            run_id=pk,
            waiver_id=waiver,
            reason=form.cleaned_data["reason"],
            user=user_of(request),
            now=now,
        )

    done = _("The waiver has ended.")
    return _act(request, pk, key, act, form=("end", form), done=done)


@acting(CHANGE_RUN)
def reopen(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Begin the item anew."""
    form = ReasonForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return items.reopen(
            run_id=pk,
            item_id=item.pk,
            reason=form.cleaned_data["reason"],
            actor=person(user_of(request)),
            now=now,
        )

    done = _("The item is open again.")
    return _act(request, pk, key, act, form=("reopen", form), done=done)


@acting(CHANGE_RUN)
def assign(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """Say who sees to the item."""
    form = OwnerForm(request.POST)

    def act(item: RunItem, now: datetime) -> object:
        return items.assign(
            run_id=pk,
            item_id=item.pk,
            owner=form.cleaned_data["owner"],
            actor=person(user_of(request)),
            now=now,
        )

    done = _("The owner is set.")
    return _act(request, pk, key, act, form=("owner", form), done=done)


def _act(
    request: HttpRequest,
    pk: int,
    key: str,
    act: Act,
    *,
    done: str,
    form: tuple[str, forms.Form] | None = None,
    ends: bool = False,
) -> HttpResponse:
    """Do what the sheet asks for, or show it again with what is in the way.

    `ends`: afterwards the reader is done with the item and comes back to the run.
    """
    now = timezone.now()
    loaded, item = _found(pk, key, now)
    name, bound = form or ("", None)
    refused: dict[str, Any] = {"opened": name}
    if bound is not None:
        refused["forms"] = {name: bound}
        if not bound.is_valid():
            first = next(iter(bound.errors.values()))[0]
            is_shown = name in _FORMS
            refused["refusal"] = "" if is_shown else first
            return _sheet(request, loaded, item, now=now, is_refused=True, **refused)
    try:
        act(item, now)
    except UnableToConfirm as error:
        refused["password_error"] = error.message
        return _sheet(request, loaded, item, now=now, is_refused=True, **refused)
    except Refused as error:
        # As it stands now, which may be why.
        loaded, item = _found(pk, key, now)
        refused |= {"refusal": error.message}
        return _sheet(request, loaded, item, now=now, is_refused=True, **refused)
    said = done % {"title": title_of(item)} if "%(title)s" in done else done
    if _is_dialog(request) and not ends:
        loaded, item = _found(pk, key, now)
        return _sheet(request, loaded, item, now=now, notice=said)
    messages.success(request, said)
    if ends:
        return redirect("checklists:run", pk=pk)
    return redirect("checklists:item", pk=pk, key=key)


def _sheet(
    request: HttpRequest,
    loaded: LoadedRun,
    item: RunItem,
    *,
    now: datetime,
    is_refused: bool = False,
    forms: dict[str, forms.Form] | None = None,
    **context: Any,
) -> HttpResponse:
    found = sheet_of(
        loaded=loaded,
        item=item,
        former=former_signatures(item),
        reader=reader_of(request),
        may=request.user.has_perm,
        is_confirmed=reauthentication.proof_of(request, now) is not None,
        now=now,
    )
    context |= {"sheet": found, "forms": {**_fresh(item, found.seen), **(forms or {})}}
    context["now"] = now
    if _is_dialog(request):
        return render(request, "checklists/_dialog.html", context)
    return render_page(
        request,
        "checklists/item.html",
        context,
        title=found.run_name,
        status=422 if is_refused else 200,
    )


_FORMS: dict[str, type[forms.Form]] = {
    "sign": SignForm,
    "link": LinkForm,
    "note": NoteForm,
    "file": FileForm,
    "waiver": WaiverForm,
    "owner": OwnerForm,
    "reopen": ReasonForm,
}


def _fresh(item: RunItem, seen: str) -> dict[str, forms.Form]:
    """Return the forms of a sheet, as nobody has filled them in."""
    # Whoever signs what the portal has verified approves it; else they have looked.
    meaning = (
        SignOff.Meaning.CHECKED
        if item.kind == RunItem.Kind.MANUAL
        else SignOff.Meaning.APPROVED
    )
    initial: dict[str, dict[str, Any]] = {
        "sign": {"seen": seen, "meaning": meaning},
        "owner": {"owner": item.owner_id},
    }
    return {
        name: form(initial=initial.get(name, {}), auto_id=f"cl-{name}-%s")
        for name, form in _FORMS.items()
    }


def _found(pk: int, key: str, now: datetime) -> tuple[LoadedRun, RunItem]:
    loaded = load(pk, now=now)
    try:
        return loaded, loaded.item(key)
    except RunItem.DoesNotExist as error:
        raise Http404 from error


def _is_dialog(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "dialog"


def _brought() -> str:
    return _("The evidence is kept. What was signed before it counts no more.")
