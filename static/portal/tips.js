// The words behind a picture of time: <svg data-tips="words of a column, divided by |">.
//
// They appear over the column that a mouse points at or a finger touches, and as the
// value of a slider for the keyboard: arrows, Home, End, Escape. A part that refreshes
// brings new pictures, so everything is listened for on the document.
(() => {
  "use strict";

  const PICTURE = "svg[data-tips]";
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -7, PageUp: 7 };
  let tip = null;
  let shown = null;

  const linesOf = (picture) => picture.dataset.tips.split("|");

  function show(picture, index) {
    const lines = linesOf(picture);
    index = Math.max(0, Math.min(lines.length - 1, index));
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "ops-tip";
      tip.setAttribute("aria-hidden", "true"); // the slider's value says it
      document.body.append(tip);
    }
    const cut = lines[index].indexOf(": ");
    const head = document.createElement("strong");
    head.textContent = cut < 0 ? lines[index] : lines[index].slice(0, cut);
    const rest = cut < 0 ? [] : lines[index].slice(cut + 2).split(" · ");
    tip.replaceChildren(
      head,
      ...rest.map((text) => {
        const line = document.createElement("span");
        line.textContent = text;
        return line;
      }),
    );
    tip.hidden = false;
    place(picture, (index + 0.5) / lines.length);
    mark(picture, index / lines.length, 1 / lines.length);
    picture.setAttribute("aria-valuenow", index + 1);
    picture.setAttribute("aria-valuetext", lines[index]);
    shown = { picture, index };
  }

  function place(picture, share) {
    const box = picture.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = box.left + box.width * share - width / 2;
    const edge = document.documentElement.clientWidth - width - 8;
    tip.style.left = `${Math.max(8, Math.min(left, edge))}px`;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
  }

  function mark(picture, start, share) {
    const view = picture.viewBox.baseVal;
    let cursor = picture.querySelector(".ops-cursor");
    if (!cursor) {
      cursor = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      cursor.setAttribute("class", "ops-cursor");
      picture.append(cursor);
    }
    cursor.setAttribute("x", view.width * start);
    cursor.setAttribute("width", view.width * share);
    cursor.setAttribute("height", view.height);
  }

  function hide() {
    if (!shown) return;
    tip.hidden = true;
    shown.picture.querySelector(".ops-cursor")?.remove();
    shown = null;
  }

  function at(event) {
    const picture = event.target.closest?.(PICTURE);
    if (!picture) return null;
    const box = picture.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return { picture, index: Math.floor(share * linesOf(picture).length) };
  }

  function point(event) {
    const found = at(event);
    if (!found) {
      if (shown?.picture !== document.activeElement) hide();
    } else if (shown?.picture !== found.picture || shown.index !== found.index) {
      if (shown && shown.picture !== found.picture) hide();
      show(found.picture, found.index);
    }
  }

  function prepare(root) {
    for (const picture of root.querySelectorAll(PICTURE)) {
      if (picture.hasAttribute("tabindex")) continue;
      const count = linesOf(picture).length;
      const values = { tabindex: 0, role: "slider", "aria-valuemin": 1, "aria-valuemax": count };
      for (const [name, value] of Object.entries(values)) picture.setAttribute(name, value);
      picture.setAttribute("aria-valuenow", count);
      picture.setAttribute("aria-valuetext", linesOf(picture)[count - 1]);
    }
  }

  document.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(event));
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(PICTURE) && event.target.matches(":focus-visible")) {
      show(event.target, Number(event.target.getAttribute("aria-valuenow")) - 1);
    }
  });
  document.addEventListener("focusout", (event) => event.target.matches?.(PICTURE) && hide());
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(PICTURE)) return;
    const last = linesOf(event.target).length - 1;
    const now = Number(event.target.getAttribute("aria-valuenow")) - 1;
    if (event.key === "Escape") return hide();
    const next = { Home: 0, End: last }[event.key] ?? (event.key in STEPS ? now + STEPS[event.key] : null);
    if (next === null) return;
    event.preventDefault();
    show(event.target, next);
  });
  document.addEventListener("DOMContentLoaded", () => prepare(document));
  document.addEventListener("live:replaced", (event) => {
    if (shown && !shown.picture.isConnected) {
      tip.hidden = true;
      shown = null;
    }
    prepare(event.target);
  });
})();
