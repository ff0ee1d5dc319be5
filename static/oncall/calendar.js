// The On call page: dragging over a lane of the calendar asks who is on call then instead,
// in a dialog (dialog.js); the same form is a page for who has no mouse or no script. Also copies links.
(() => {
  "use strict";

  const HOUR_PX_MAGNET = 7; // a border of a shift that is so near is meant
  const SLOTS = 168; // hours of a week

  const pad = (number) => String(number).padStart(2, "0");

  // "2026-11-28T09:00", so many hours by the clock after the start of a Monday.
  const clockAt = (monday, hours) => {
    const [year, month, day] = monday.split("-").map(Number);
    // As UTC, so that the browser's zone plays no part.
    const at = new Date(Date.UTC(year, month - 1, day, hours));
    return `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())}T${pad(at.getUTCHours())}:00`;
  };

  class Lane {
    constructor(element, page, dialog) {
      this.element = element;
      this.page = page;
      this.dialog = dialog;
      this.pick = null;
      element.classList.add("is-draggable");
      element.addEventListener("pointerdown", (event) => this.begin(event));
      element.addEventListener("pointermove", (event) => this.move(event));
      element.addEventListener("pointerup", (event) => this.end(event));
      element.addEventListener("pointercancel", () => this.drop());
      // A link that was dragged over is not meant to be followed.
      element.addEventListener("click", (event) => this.swallow(event), true);
    }

    begin(event) {
      // A finger scrolls; the form is there for it.
      if (event.button !== 0 || event.pointerType === "touch") return;
      this.from = this.hourAt(event.clientX);
      this.startX = event.clientX;
      this.wasDragged = false;
    }

    move(event) {
      if (this.from === undefined) return;
      if (!this.pick) {
        if (Math.abs(event.clientX - this.startX) < 6) return;
        this.pick = document.createElement("li");
        this.pick.className = "oc-pick";
        this.pick.setAttribute("aria-hidden", "true");
        this.label = document.createElement("span");
        this.pick.append(this.label);
        this.element.append(this.pick);
        this.element.setPointerCapture(event.pointerId);
        this.stop = (key) => key.key === "Escape" && this.drop();
        document.addEventListener("keydown", this.stop);
      }
      event.preventDefault();
      this.wasDragged = true;
      this.until = this.hourAt(event.clientX);
      const [low, high] = this.span();
      this.pick.style.left = `${(low / SLOTS) * 100}%`;
      this.pick.style.width = `${((high - low) / SLOTS) * 100}%`;
      this.say(low, high);
    }

    end() {
      const dragged = Boolean(this.pick);
      const [low, high] = dragged ? this.span() : [0, 0];
      this.drop();
      if (!dragged || low === high) return;
      this.wasDragged = true;
      const { lane, monday } = this.element.dataset;
      const asked = new URLSearchParams({
        schedule: lane,
        from: clockAt(monday, low),
        until: clockAt(monday, high),
      });
      this.dialog.open(`${this.page.dataset.changeUrl}?${asked}`);
    }

    drop() {
      this.pick?.remove();
      this.pick = null;
      this.from = undefined;
      document.removeEventListener("keydown", this.stop);
    }

    swallow(event) {
      if (!this.wasDragged) return;
      this.wasDragged = false;
      event.preventDefault();
      event.stopPropagation();
    }

    span() {
      return this.from < this.until ? [this.from, this.until] : [this.until, this.from];
    }

    // The hour of the week, drawn to the borders of shifts.
    hourAt(x) {
      const box = this.element.getBoundingClientRect();
      const exact = ((x - box.left) / box.width) * SLOTS;
      const reach = (HOUR_PX_MAGNET / box.width) * SLOTS;
      const borders = [...this.element.querySelectorAll(".oc-bar")].flatMap((bar) => {
        const { left, right } = bar.getBoundingClientRect();
        return [left, right].map((edge) => Math.round(((edge - box.left) / box.width) * SLOTS));
      });
      const near = borders.find((border) => Math.abs(border - exact) < reach);
      return Math.min(Math.max(near ?? Math.round(exact), 0), SLOTS);
    }

    // From when until when, above what is being dragged.
    say(low, high) {
      const { monday } = this.element.dataset;
      const words = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
        weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC",
      });
      const [from, until] = [low, high].map((hour) => words.format(new Date(`${clockAt(monday, hour)}Z`)));
      this.label.textContent = `${from} – ${until}`;
      this.pick.classList.toggle("is-right", low > SLOTS / 2);
    }
  }

  const copying = (page) => {
    page.querySelectorAll("[data-copy]").forEach((button) => {
      // Without https a browser has no clipboard; the link can still be selected.
      button.hidden = !navigator.clipboard;
      const words = button.textContent;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = button.dataset.copied;
        setTimeout(() => (button.textContent = words), 2000);
      });
    });
    page.querySelectorAll(".oc-feed-link input").forEach((field) => {
      field.addEventListener("focus", () => field.select());
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector("[data-oncall]");
    if (!page) return;
    copying(page);
    if (!page.dataset.changeUrl) return;
    const dialog = new PortalDialog(page);
    page.querySelectorAll("[data-lane]").forEach((lane) => new Lane(lane, page, dialog));
    page.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-dialog]");
      if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      dialog.open(link.href);
    });
  });
})();
