// Tries what a form of the admin says without saving: the answer is shown below the
// form, and what is wrong with the values at their fields. Without this script the
// button opens the answer as a page.
(() => {
  "use strict";

  const TIMEOUT_MS = 20_000;

  class Trial {
    constructor(element) {
      this.element = element;
      this.button = element.querySelector("[data-try-button]");
      this.answer = element.querySelector("[data-try-answer]");
      this.form = this.button.form;
      this.words = this.button.textContent;
      this.timeoutMs = Number(element.dataset.tryTimeout) * 1000 || TIMEOUT_MS;
      this.button.addEventListener("click", (event) => {
        event.preventDefault();
        this.run();
      });
    }

    async run() {
      this.clear();
      this.button.disabled = true;
      this.button.textContent = this.button.dataset.tryBusy;
      this.element.setAttribute("aria-busy", "true");
      try {
        await this.ask();
      } catch {
        this.say(this.element.dataset.tryFailed);
      } finally {
        this.button.disabled = false;
        this.button.textContent = this.words;
        this.element.removeAttribute("aria-busy");
      }
    }

    async ask() {
      const answer = await fetch(this.element.dataset.tryUrl, {
        method: "POST",
        body: this.form ? new FormData(this.form) : new FormData(),
        headers: { "X-Requested-With": "try" },
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      if (answer.headers.get("Content-Type") === "application/json") {
        this.blame((await answer.json()).faults);
        return;
      }
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      this.answer.replaceChildren(fresh.content);
    }

    // Each fault stands at its field; one without a field stands below the button.
    blame(faults) {
      let first = null;
      for (const [name, words] of Object.entries(faults)) {
        const field = this.form?.querySelector(`[name="${CSS.escape(name)}"]`);
        for (const word of words) {
          if (!field) {
            this.say(word);
            continue;
          }
          const note = document.createElement("p");
          note.className = "try-fault";
          note.setAttribute("role", "alert");
          note.id = `try-fault-${name}`;
          note.textContent = word;
          this.placeOf(field).append(note);
          field.setAttribute("aria-invalid", "true");
          field.setAttribute("aria-describedby", note.id);
          first ??= field;
        }
      }
      first?.focus();
      first?.scrollIntoView({ block: "center", behavior: "smooth" });
    }

    // Below the field and its help, which share a cell of the form.
    placeOf(field) {
      const line = field.closest(".field-line");
      const cell = line && [...line.children].find((child) => child.contains(field));
      return cell ?? field.parentElement;
    }

    say(words) {
      const note = document.createElement("p");
      note.className = "try-fault";
      note.setAttribute("role", "alert");
      note.textContent = words;
      this.answer.append(note);
    }

    clear() {
      this.answer.replaceChildren();
      document.querySelectorAll(".try-fault").forEach((note) => note.remove());
      this.form?.querySelectorAll("[aria-invalid]").forEach((field) => {
        field.removeAttribute("aria-invalid");
        field.removeAttribute("aria-describedby");
      });
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-try]").forEach((element) => new Trial(element));
  });
})();
