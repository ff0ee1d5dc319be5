// Counts down inside <p data-countdown="in %s">: each <time> in it that lies ahead shows
// minutes and seconds, in the reader's words. Without this script, the words of the
// server stay. What a live refresh brings is counted at once, so nothing flickers.
(() => {
  "use strict";

  const HOUR_S = 3600;

  const said = (seconds) => {
    const minutes = Math.floor(seconds / 60);
    return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
  };

  const show = (time, words) => {
    const seconds = Math.round((Date.parse(time.dateTime) - Date.now()) / 1000);
    // Further away, minutes say enough; passed, the server knows what happens now.
    if (seconds < 0 || seconds >= HOUR_S) return;
    const text = words.replace("%s", said(seconds));
    if (time.textContent !== text) time.textContent = text;
  };

  const showAll = () => {
    for (const part of document.querySelectorAll("[data-countdown]")) {
      part.querySelectorAll("time").forEach((time) => show(time, part.dataset.countdown));
    }
  };

  showAll();
  setInterval(() => {
    if (!document.hidden) showAll();
  }, 1000);
  document.addEventListener("visibilitychange", showAll);
  const watcher = new MutationObserver(showAll);
  document.querySelectorAll("[data-live-url]").forEach((part) => watcher.observe(part, { childList: true }));
})();
