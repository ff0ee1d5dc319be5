"""From an answer of the simulator to an expectation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import (
    EscalationPolicy,
    ReachExpectation,
    Schedule,
    Service,
    Team,
)
from incidents.models.schedule import weekdays
from incidents.oncall import wall
from incidents.simulator import Simulation
from notifications.models.contact import method_kinds
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration

WITHIN_MINUTES = (1, 2, 5, 10, 15, 30, 60)
_FIELD = {"class": "ops-field"}
_Occasion = ReachExpectation.Occasion
# Asked about a moment this near to now, "at any moment" is the likelier wish.
_NEAR = timedelta(minutes=10)


def _withins() -> list[tuple[str, str]]:
    return [
        (str(minutes), duration(timedelta(minutes=minutes)))
        for minutes in WITHIN_MINUTES
    ]


def _methods() -> list[tuple[str, str]]:
    return [("", _("Any way")), *method_kinds()]


class KeepForm(forms.Form):
    """Which part of an answer must stay true. It offers what the answer tells of."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        widget=forms.TextInput(_FIELD),
        error_messages={"required": gettext_lazy("Give it a name.")},
    )
    whom = forms.ChoiceField(
        label=gettext_lazy("Told"), widget=forms.Select(_FIELD), initial=""
    )
    method = forms.ChoiceField(
        label=gettext_lazy("By"),
        choices=_methods,
        required=False,
        widget=forms.Select(_FIELD),
    )
    within = forms.TypedChoiceField(
        label=gettext_lazy("Within"),
        choices=_withins,
        coerce=int,
        initial="5",
        widget=forms.Select(_FIELD),
    )
    occasion = forms.ChoiceField(
        label=gettext_lazy("When"), widget=forms.Select(_FIELD)
    )

    def __init__(
        self,
        *args: Any,
        run: Simulation,
        service: Service,
        policy: EscalationPolicy | None,
        now: datetime,
        **kwargs: Any,
    ) -> None:
        self._run, self._service, self._policy = run, service, policy
        self._typed = wall.shown(run.at, ZoneInfo(service.time_zone))
        is_near = abs(run.at - now) < _NEAR
        kwargs["initial"] = {
            "name": self._free_name(),
            "occasion": _Occasion.ALWAYS if is_near else _Occasion.WEEKLY,
            **kwargs.get("initial", {}),
        }
        # The page has another form with fields of its own.
        kwargs["auto_id"] = "keep_%s"
        super().__init__(*args, **kwargs)
        self.fields["whom"].choices = [("", _("Somebody")), *self._told()]  # type: ignore[attr-defined]
        self.fields["whom"].required = False
        self.fields["occasion"].choices = self._occasions()  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        """Return the name, if it is free."""
        name: str = self.cleaned_data["name"].strip()
        if ReachExpectation.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is one of this name. Give another."))
        return name

    def values(self) -> dict[str, Any]:
        """Return the columns of the expectation; the form is valid."""
        chosen = self.cleaned_data
        values: dict[str, Any] = {
            "name": chosen["name"],
            "priority": self._run.policy.priority,
            "occasion": chosen["occasion"],
            "time_zone": self._service.time_zone,
            "method": chosen["method"],
            "within_s": chosen["within"] * 60,
            "service": None if self._policy else self._service,
            "policy": self._policy,
        }
        if chosen["occasion"] == _Occasion.WEEKLY:
            values["weekday"] = weekdays()[self._typed.weekday()][0]
            values["clock"] = self._typed.time()
        elif chosen["occasion"] == _Occasion.ONCE:
            values["at"] = self._run.at
        kind, _colon, number = chosen["whom"].partition(":")
        if kind:
            model: Any = ReachExpectation._meta.get_field(kind).related_model
            values[kind] = model.objects.only("pk").get(pk=int(number))
        return values

    def clean(self) -> dict[str, Any]:
        """Check that a channel is asked for no way of its own."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("whom", "").startswith("channel:") and cleaned.get("method"):
            self.add_error("method", _("A channel is its own way. Choose “Any way”."))
        return cleaned

    def _told(self) -> Iterator[tuple[str, str]]:
        """Offer the schedules and teams that steps name, then who is told."""
        steps = self._run.policy.steps
        schedule_ids = {pk for step in steps for pk in step.schedule_ids}
        team_ids = {pk for step in steps for pk in step.team_ids}
        for pk, name in _names(Schedule, schedule_ids):
            yield f"schedule:{pk}", _("On call in “%(name)s”") % {"name": name}
        for pk, name in _names(Team, team_ids):
            yield f"team:{pk}", _("All of the team “%(name)s”") % {"name": name}
        told = {
            f"contact:{one.contact_id}"
            if one.contact_id is not None
            else f"channel:{one.channel_id}": one.name
            for moment in self._run.moments
            for one in moment.page.deliveries
        }
        yield from told.items()

    def _occasions(self) -> list[tuple[str, str]]:
        day = dict(weekdays())[weekdays()[self._typed.weekday()][0]]
        moment = date_format(self._typed, "j F Y, H:i")
        return [
            (_Occasion.ALWAYS, str(_Occasion.ALWAYS.label)),
            (
                _Occasion.WEEKLY,
                _("Every %(weekday)s at %(time)s")
                % {"weekday": day, "time": f"{self._typed:%H:%M}"},
            ),
            (_Occasion.ONCE, _("On %(moment)s only") % {"moment": moment}),
        ]

    def _free_name(self) -> str:
        what = self._policy.name if self._policy else self._service.name
        base = _("%(priority)s on %(what)s") % {
            "priority": Priority(self._run.policy.priority).short,
            "what": what,
        }
        base = base[:110]
        taken = set(
            ReachExpectation.objects.filter(name__startswith=base).values_list(
                "name", flat=True
            )
        )
        names = (base, *(f"{base} ({number})" for number in range(2, 1000)))
        return next((name for name in names if name not in taken), base)


def _names(
    model: type[Schedule] | type[Team], ids: Collection[int]
) -> Iterable[tuple[int, str]]:
    """Load the names of rows, in their order; one query."""
    rows = model._default_manager.filter(pk__in=ids)
    return rows.order_by("name").values_list("pk", "name")
