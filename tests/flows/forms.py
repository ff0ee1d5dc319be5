"""A page's forms, filled in and sent as a browser without scripts would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """What stands in a form when the page is opened."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    # What each field may be, where the page offers a choice.
    choices: dict[str, list[str]] = field(default_factory=dict)

    def send(self, client: httpx.Client, **typed: str) -> httpx.Response:
        """Press its button. Raises KeyError for a field that the page doesn't have."""
        for name in typed:
            if name not in self.fields and name not in self.choices:
                raise KeyError(f"{name} is not in {self}")
        assert self.method == "post"
        return client.post(self.action, data={**self.fields, **typed})


def forms(page: httpx.Response) -> list[Form]:
    """Return the forms of a page in their order."""
    reader = _Reader(str(page.url))
    reader.feed(page.text)
    return reader.found


def form(page: httpx.Response, *, having: str = "", action: str = "") -> Form:
    """Return the one form with a field of that name, or that is sent there."""
    found = [
        one
        for one in forms(page)
        if (having in {*one.fields, *one.choices} or not having)
        and httpx.URL(one.action).path.endswith(action)
    ]
    assert len(found) == 1, (having, action, [one.action for one in found], page.text)
    return found[0]


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._url = url
        self._form: Form | None = None
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(
                action=urljoin(self._url, named.get("action", "")),
                method=named.get("method", "get").lower(),
            )
            self.found.append(self._form)
        elif self._form is not None:
            self._note(tag, named, self._form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea and self._form is not None:
            self._form.fields[self._textarea] += data.removeprefix("\n")

    def _note(self, tag: str, named: dict[str, str], form: Form) -> None:
        name, value = named.get("name", ""), named.get("value", "")
        if tag == "option" and self._select:
            form.choices[self._select].append(value)
            if "selected" in named or self._select not in form.fields:
                form.fields[self._select] = value
        elif not name or "disabled" in named:
            return
        elif tag == "select":
            self._select = name
            form.choices.setdefault(name, [])
        elif tag == "button":
            form.choices.setdefault(name, []).append(value)
        elif tag == "textarea":
            self._textarea = name
            form.fields[name] = ""
        elif tag == "input" and named.get("type") in {"radio", "checkbox"}:
            form.choices.setdefault(name, []).append(value or "on")
            if "checked" in named:
                form.fields[name] = value or "on"
        elif tag == "input" and named.get("type") not in {"submit", "button", "file"}:
            form.fields[name] = value
