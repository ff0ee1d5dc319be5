// A form in a dialog that is also a page of its own, for whoever has no script: the server
// answers "X-Requested-With: dialog" with the form alone. Every <a data-dialog> opens so.
// Saved: the page is loaded again and says it. Refused: the dialog shows the form as answered.
(() => {
  "use strict";

  const TIMEOUT_MS = 10_000;

  class PortalDialog {
    constructor(page) {
      this.element = document.createElement("dialog");
      this.element.className = "ops-dialog";
      this.element.addEventListener("close", () => this.element.replaceChildren());
      this.element.addEventListener("click", (event) => {
        // Beside the dialog: its backdrop.
        if (event.target === this.element) this.element.close();
        if (event.target.closest("[data-close]")) {
          event.preventDefault();
          this.element.close();
        }
      });
      this.element.addEventListener("submit", (event) => this.send(event));
      page.append(this.element);
    }

    async open(address) {
      try {
        const answer = await this.fetch(address);
        this.show(await answer.text());
      } catch {
        location.assign(address);
      }
    }

    fetch(address, options = {}) {
      return fetch(address, {
        headers: { "X-Requested-With": "dialog" },
        credentials: "same-origin",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...options,
      }).then((answer) => {
        // Not followed: it was saved, and the page says so.
        if (!answer.ok && answer.type !== "opaqueredirect") throw new Error(`answered ${answer.status}`);
        return answer;
      });
    }

    show(html) {
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      this.element.replaceChildren(fresh.content);
      const title = this.element.querySelector("h2");
      if (title) {
        title.id = "ops-dialog-title";
        this.element.setAttribute("aria-labelledby", title.id);
      }
      if (!this.element.open) this.element.showModal();
      const wanted = ["[aria-invalid]", "[data-first]", "select, input:not([type=hidden])"];
      wanted.map((one) => this.element.querySelector(one)).find(Boolean)?.focus();
    }

    async send(event) {
      const form = event.target;
      if (form.method !== "post") return;
      event.preventDefault();
      const body = new FormData(form, event.submitter);
      event.submitter?.setAttribute("disabled", "");
      try {
        const answer = await this.fetch(form.action, { method: "POST", body, redirect: "manual" });
        if (answer.type === "opaqueredirect") location.reload();
        else this.show(await answer.text());
      } catch {
        // As without a script: the browser says what is wrong.
        form.submit();
      }
    }
  }

  window.PortalDialog = PortalDialog;

  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector(".ops-page");
    if (!page?.hasAttribute("data-dialogs")) return;
    const dialog = new PortalDialog(page);
    page.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-dialog]");
      const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
      if (!link || !isPlain) return;
      event.preventDefault();
      dialog.open(link.href);
    });
  });
})();
