"use strict";
// Ages by the clock of whoever looks at the page, and a warning where the newest night is too old.
(() => {
  const day = 86400000;
  const now = Date.now();
  const told = (days) => (days < 0 ? "in the future" : days < 1 ? "less than a day ago" : days < 2 ? "1 day ago" : `${Math.floor(days)} days ago`);
  for (const age of document.querySelectorAll("[data-age]")) {
    const days = (now - Date.parse(age.dataset.age)) / day;
    if (!Number.isNaN(days)) age.textContent = told(days);
  }
  const warning = document.getElementById("stale");
  if (!warning) return;
  const days = (now - Date.parse(warning.dataset.newest)) / day;
  if (days > Number(warning.dataset.days)) {
    warning.textContent = `✗ Nights have stopped: the newest is of ${Math.floor(days)} days ago.`;
    warning.hidden = false;
  } else if (days < -1) {
    warning.textContent = "✗ The newest night is dated in the future: a clock is wrong, and nobody can tell whether nights have stopped.";
    warning.hidden = false;
  }
})();
