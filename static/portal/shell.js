// Settles what the shell's libraries would otherwise write into the page: the content
// policy allows no style that isn't in a file (portal.css holds htmx's).
(() => {
  "use strict";

  htmx.config.includeIndicatorStyles = false;
  // What htmx brings in is markup; scripts come with the page.
  htmx.config.allowScriptTags = false;
})();
