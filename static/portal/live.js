// Keeps parts of a page fresh: <div data-live-url="…" data-live-every="15">.
//
// The part is fetched with If-None-Match (data-live-etag at first). The answer is nothing,
// the new words of its <time> and <data> elements as JSON, or the whole part. The reader's
// focus, scroll position, open <details>, ticks and typed text stay; a hidden tab asks nobody;
// when answers stay away, the part says since when it is stale: data-live-stale holds the
// reader's words, with %s for the time.
(() => {
  "use strict";

  const STALE_AFTER = 2; // answers missed in a row
  const TIMEOUT_MS = 10_000;

  class LivePart {
    constructor(element) {
      this.element = element;
      this.everyMs = Math.max(Number(element.dataset.liveEvery) || 15, 2) * 1000;
      this.etag = element.dataset.liveEtag ? `"${element.dataset.liveEtag}"` : null;
      this.freshAt = new Date();
      this.missed = 0;
      this.timer = null;
      this.plan();
    }

    plan() {
      clearTimeout(this.timer);
      if (this.element.isConnected && !document.hidden) {
        // Readers of one page shall not all ask in the same instant.
        this.timer = setTimeout(() => this.refresh(), this.everyMs * (0.9 + Math.random() / 5));
      }
    }

    async refresh() {
      try {
        await this.fetch();
        this.missed = 0;
        this.freshAt = new Date();
        this.element.removeAttribute("data-stale");
        this.note("");
      } catch (error) {
        this.missed += 1;
        if (this.missed >= STALE_AFTER) this.showStale();
      }
      this.plan();
    }

    async fetch() {
      const headers = { "X-Requested-With": "live" };
      if (this.etag) headers["If-None-Match"] = this.etag;
      const answer = await fetch(this.element.dataset.liveUrl, {
        headers,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error", // signed out: the answer would be the login page
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (answer.status === 304) return;
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      const etag = answer.headers.get("ETag");
      if (answer.headers.get("Content-Type")?.startsWith("application/json")) {
        // Without a match the next round asks for all of it.
        this.etag = this.move(await answer.json()) ? etag : null;
        return;
      }
      const html = await answer.text();
      if (this.isBusy()) return; // the next round brings it
      this.etag = etag;
      this.replace(html);
    }

    move({ words, titles }) {
      const moving = this.element.querySelectorAll("time, data");
      if (moving.length !== words.length) return false;
      moving.forEach((one, index) => {
        if (one.textContent !== words[index]) one.textContent = words[index];
        if (titles[index]) one.title = titles[index];
      });
      this.html = null;
      return true;
    }

    isBusy() {
      const active = document.activeElement;
      const types = active && this.element.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
      const selection = document.getSelection();
      const marks = selection && !selection.isCollapsed && this.element.contains(selection.anchorNode);
      return Boolean(types || marks);
    }

    replace(html) {
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      if (fresh.innerHTML === this.html) return;
      this.html = fresh.innerHTML;
      const open = [...this.element.querySelectorAll("details")].map((one) => one.open);
      const ticked = [...this.element.querySelectorAll("input[type=checkbox]:checked")].map((one) => one.value);
      const focused = this.focusPath();
      const scrolled = [...this.element.querySelectorAll("[data-live-scroll]")].map((one) => one.scrollLeft);
      this.element.replaceChildren(fresh.content);
      this.element.querySelectorAll("details").forEach((one, index) => {
        if (open[index] !== undefined) one.open = open[index];
      });
      this.element.querySelectorAll("[data-live-scroll]").forEach((one, index) => {
        one.scrollLeft = scrolled[index] ?? 0;
      });
      this.element.querySelectorAll("input[type=checkbox]").forEach((one) => {
        one.checked = ticked.includes(one.value) && one.name !== "";
      });
      this.refocus(focused);
      this.element.dispatchEvent(new Event("live:replaced", { bubbles: true }));
      window.htmx?.process(this.element);
    }

    // A link or button is found again by its id or address, not by its place.
    focusPath() {
      const active = document.activeElement;
      if (!active || !this.element.contains(active)) return null;
      if (active.id) return `#${CSS.escape(active.id)}`;
      const href = active.getAttribute("href");
      return href ? `[href="${CSS.escape(href)}"]` : null;
    }

    refocus(path) {
      if (path) this.element.querySelector(path)?.focus({ preventScroll: true });
    }

    showStale() {
      this.element.setAttribute("data-stale", "");
      const time = this.freshAt.toLocaleTimeString(document.documentElement.lang || undefined);
      const words = this.element.dataset.liveStale || "No answer from the portal. As of %s.";
      this.note(words.replace("%s", time));
    }

    note(words) {
      let note = this.element.previousElementSibling;
      if (!note?.classList.contains("ops-stale")) {
        if (!words) return;
        note = document.createElement("p");
        note.className = "ops-stale";
        note.setAttribute("role", "status");
        this.element.before(note);
      }
      note.textContent = words;
      note.hidden = !words;
    }
  }

  const parts = [];

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-live-url]").forEach((element) => parts.push(new LivePart(element)));
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) parts.forEach((part) => part.refresh());
    else parts.forEach((part) => clearTimeout(part.timer));
  });
})();
