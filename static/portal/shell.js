// Small things of every page: what the shell's libraries may do, the reader's time zone,
// and boxes that tick others.
(() => {
  "use strict";

  // The content policy allows no style that isn't in a file (portal.css holds htmx's).
  htmx.config.includeIndicatorStyles = false;
  // What htmx brings in is markup; scripts come with the page.
  htmx.config.allowScriptTags = false;

  // Absolute times are said in the reader's zone from the next page on.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = document.cookie.split("; ").find((one) => one.startsWith("zone="));
  if (zone && known !== `zone=${zone}`) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }

  // The admin's search boxes (Select2) say their label to screen readers.
  const nameSearchBoxes = () => {
    document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
      const words = select.labels?.[0]?.textContent.trim().replace(/[:*]$/, "");
      const box = select.nextElementSibling?.querySelector(".select2-selection");
      if (!words || !box || box.ariaLabel) return;
      box.removeAttribute("aria-labelledby");
      box.ariaLabel = words;
      const shown = box.querySelector(".select2-selection__rendered");
      if (shown) shown.ariaLabel = words;
    });
  };
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector(".admin-autocomplete")?.form;
    if (!form) return;
    nameSearchBoxes();
    // They are made when their own script gets to it, and with each added row.
    new MutationObserver(nameSearchBoxes).observe(form, { childList: true, subtree: true });
  });

  // <input type="checkbox" data-picks="x"> ticks every data-pick="x".
  document.addEventListener("change", (event) => {
    const { picks, pick } = event.target.dataset ?? {};
    if (picks) {
      document.querySelectorAll(`[data-pick="${CSS.escape(picks)}"]`).forEach((one) => {
        one.checked = event.target.checked;
      });
    } else if (pick) {
      const all = [...document.querySelectorAll(`[data-pick="${CSS.escape(pick)}"]`)];
      const head = document.querySelector(`[data-picks="${CSS.escape(pick)}"]`);
      if (head) {
        head.checked = all.every((one) => one.checked);
        head.indeterminate = !head.checked && all.some((one) => one.checked);
      }
    }
  });
})();
