"""Addresses below `/incidents/`."""

from __future__ import annotations

from django.urls import path

from incidents import deploying_views, followup_views, together_views, views
from incidents.numbers import views as numbers

app_name = "incidents"

urlpatterns = [
    path("", views.incident_list, name="list"),
    path("numbers/", numbers.numbers, name="numbers"),
    path("numbers/<str:name>.csv", numbers.table, name="numbers-table"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<int:pk>/escalate/", views.escalate, name="escalate"),
    path("<int:pk>/unacknowledge/", views.unacknowledge, name="unacknowledge"),
    path("<int:pk>/resolve/", views.resolve, name="resolve"),
    path("<int:pk>/note/", views.note, name="note"),
    path("<int:pk>/public/", views.tell_public, name="public"),
    path("<int:pk>/snooze/", views.snooze, name="snooze"),
    path("<int:pk>/priority/", views.priority, name="priority"),
    path("<int:pk>/hand-over/", together_views.ask, name="ask"),
    path("<int:pk>/hand-over/accept/", together_views.accept, name="accept"),
    path("<int:pk>/hand-over/decline/", together_views.decline, name="decline"),
    path("<int:pk>/hand-over/withdraw/", together_views.withdraw, name="withdraw"),
    path("<int:pk>/role/", together_views.role, name="role"),
    path("<int:pk>/merge/", together_views.merge, name="merge"),
    path("<int:pk>/postmortem/", followup_views.postmortem, name="postmortem"),
    path(
        "<int:pk>/postmortem/edit/",
        followup_views.edit_postmortem,
        name="postmortem-edit",
    ),
    path("<int:pk>/postmortem/finish/", followup_views.finish, name="finish"),
    path("<int:pk>/postmortem/reopen/", followup_views.reopen, name="reopen"),
    path("<int:pk>/postmortem/waive/", followup_views.waive, name="waive"),
    path("<int:pk>/postmortem/owner/", followup_views.give, name="owner"),
    path("<int:pk>/actions/", followup_views.add_item, name="add-item"),
    path("deploy-windows/<int:pk>/", deploying_views.window, name="window"),
    path("deploy-windows/<int:pk>/close/", deploying_views.close, name="close-window"),
    path("follow-up/", followup_views.followup, name="followup"),
    path("actions/<int:pk>/", followup_views.item, name="item"),
    path("actions/<int:pk>/set/", followup_views.set_item, name="set-item"),
]
