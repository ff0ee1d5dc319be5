"""Addresses of the checklists, below /checklists/."""

from __future__ import annotations

from django.urls import path

from checklists.pages import items, printing, runs

app_name = "checklists"
_ITEM = "<int:pk>/items/<slug:key>/"

urlpatterns = [
    path("", runs.run_list, name="runs"),
    path("new/", runs.new, name="new"),
    path("mine/", runs.mine, name="mine"),
    path("<int:pk>/", runs.run, name="run"),
    path("<int:pk>/print/", printing.printed, name="print"),
    path("<int:pk>/bundle.json", printing.bundle, name="bundle"),
    path("<int:pk>/close/", runs.close, name="close"),
    path("<int:pk>/cancel/", runs.cancel, name="cancel"),
    path("<int:pk>/commit/", runs.move, name="move"),
    path("<int:pk>/window/", runs.window, name="window"),
    path(_ITEM, items.sheet, name="item"),
    path(f"{_ITEM}sign/", items.sign, name="sign"),
    path(f"{_ITEM}signatures/<int:sign_off>/revoke/", items.revoke, name="revoke"),
    path(f"{_ITEM}verify/", items.verify, name="verify"),
    path(f"{_ITEM}evidence/link/", items.add_link, name="add-link"),
    path(f"{_ITEM}evidence/note/", items.add_note, name="add-note"),
    path(f"{_ITEM}evidence/file/", items.add_file, name="add-file"),
    path(f"{_ITEM}evidence/<int:evidence_id>/file/", items.file, name="file"),
    path(
        f"{_ITEM}evidence/<int:evidence_id>/withdraw/", items.withdraw, name="withdraw"
    ),
    path(f"{_ITEM}waivers/", items.ask_waiver, name="ask-waiver"),
    path(
        f"{_ITEM}waivers/<int:waiver>/approve/",
        items.approve_waiver,
        name="approve-waiver",
    ),
    path(
        f"{_ITEM}waivers/<int:waiver>/refuse/",
        items.refuse_waiver,
        name="refuse-waiver",
    ),
    path(f"{_ITEM}waivers/<int:waiver>/end/", items.end_waiver, name="end-waiver"),
    path(f"{_ITEM}reopen/", items.reopen, name="reopen"),
    path(f"{_ITEM}owner/", items.assign, name="assign"),
]
