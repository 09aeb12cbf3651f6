"use strict";
(() => {
  document.documentElement.classList.add("js");

  // Age of the run, as of now instead of when the page was built.
  const age = document.getElementById("age");
  const days = Math.floor((Date.now() - Date.parse(age.dataset.from)) / 864e5);
  if (days >= 0) age.textContent = days === 0 ? "less than a day ago" : days === 1 ? "1 day ago" : days + " days ago";

  const table = document.getElementById("cases");
  if (!table) return;
  Tablesort.extend("number", () => false, (a, b) => {
    const value = (text) => (text === "" ? -Infinity : Number(text));
    const x = value(a), y = value(b);
    return x === y ? 0 : y > x ? 1 : -1;
  });
  new Tablesort(table);
  for (const head of table.tHead.rows[0].cells) {
    head.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      head.click();
    });
  }

  // Filters live in the address, so that a filtered table can be sent to somebody.
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const rows = Array.from(table.tBodies[0].rows);
  const cells = rows.map((row) => ({ text: row.textContent.toLowerCase(), of: row.cells }));
  const columns = Object.fromEntries(Array.from(table.tHead.rows[0].cells, (head, index) => [head.dataset.filter, index])
    .filter(([name]) => name));
  const values = cells.map(({ of }) =>
    Object.fromEntries(Object.entries(columns).map(([name, index]) => [name, of[index].textContent.trim()])));

  for (const name of Object.keys(columns)) {
    const select = form.elements.namedItem(name);
    const found = [...new Set(values.map((row) => row[name]))];
    found.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    for (const value of found) select.add(new Option(value, value));
  }
  const apply = () => {
    const words = form.elements.namedItem("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = Object.keys(columns).filter((name) => form.elements.namedItem(name).value !== "");
    let count = 0;
    rows.forEach((row, index) => {
      const keep = wanted.every((name) => values[index][name] === form.elements.namedItem(name).value) &&
        words.every((word) => cells[index].text.includes(word));
      if (row.hidden === keep) row.hidden = !keep;
      count += keep;
    });
    shown.textContent = count + " of " + rows.length + " cases shown";
  };
  const remember = () => {
    const filters = new URLSearchParams();
    for (const element of form.elements) if (element.name && element.value) filters.set(element.name, element.value);
    const hash = filters.toString();
    if ("#" + hash !== location.hash) history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  };
  const recall = () => {
    const filters = new URLSearchParams(location.hash.slice(1));
    if (![...filters.keys()].some((name) => name in columns || name === "text") && location.hash) return;
    for (const element of form.elements) {
      if (!element.name) continue;
      element.value = filters.get(element.name) ?? "";
      if (element.selectedIndex === -1) element.value = "";
    }
    apply();
  };
  form.addEventListener("input", () => { apply(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { apply(); remember(); }));
  window.addEventListener("hashchange", recall);
  recall();
  apply();
})();
