// A number of a JSON answer, clicked, puts its path into the form of the KPI.
(() => {
  "use strict";

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-pick-path]");
    const field = button && document.querySelector('[name="json_path"]');
    if (!field) return;
    field.value = button.dataset.pickPath;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
    field.scrollIntoView({ block: "center" });
  });
})();
