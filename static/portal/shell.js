// Small things of every page: what the shell's libraries may do, the reader's time zone,
// names and keys for what the shell gives neither, and boxes that tick others.
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
      box.querySelectorAll(".select2-selection__rendered, .select2-search__field").forEach((one) => { one.ariaLabel = words; });
    });
  };
  // A field in a table is called as its column. Columns begin with a capital, in one word only.
  const nameCells = () => {
    document.querySelectorAll("#content :is(td, th)[data-label]").forEach((cell) => {
      const words = cell.dataset.label.trim();
      const named = words.charAt(0).toLocaleUpperCase() + words.slice(1);
      if (named !== cell.dataset.label) cell.dataset.label = named;
      cell.querySelectorAll("input:not([type=hidden]), select, textarea").forEach((field) => {
        if (!field.labels?.length && !field.ariaLabel && !field.title) field.ariaLabel = named;
      });
    });
  };
  // What opens and closes the navigation is a button for the keyboard too.
  const openByKey = () => {
    const navigation = document.getElementById("nav-sidebar");
    const toggles = [...document.querySelectorAll("#header-inner span")]
      .filter((one) => one.getAttribute("x-on:click")?.includes("sidebar"));
    const isOpen = () => Boolean(navigation?.checkVisibility());
    const tell = () => toggles.forEach((one) => one.setAttribute("aria-expanded", String(isOpen())));
    toggles.forEach((toggle) => {
      Object.assign(toggle, { role: "button", tabIndex: 0, ariaLabel: navigation?.ariaLabel ?? "" });
      toggle.classList.add("ops-toggle");
      toggle.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle.click();
        // Below the width of a desk it lies above the page, and before it in order.
        setTimeout(() => {
          if (isOpen() && matchMedia("(max-width: 1279px)").matches) navigation.querySelector("a")?.focus();
        });
      });
      toggle.addEventListener("click", () => setTimeout(tell));
    });
    navigation?.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !matchMedia("(max-width: 1279px)").matches) return;
      const toggle = toggles.find((one) => one.checkVisibility());
      toggle?.click();
      toggle?.focus();
    });
    tell();
  };
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("main")?.setAttribute("role", "main");
    openByKey();
    nameCells();
    nameSearchBoxes();
    const form = document.querySelector("#content form[method=post]");
    if (!form) return;
    // Some are made when their own script gets to it, others with each added row.
    new MutationObserver(() => {
      nameCells();
      nameSearchBoxes();
    }).observe(form, { childList: true, subtree: true });
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
