"use strict";
(() => {
  const filter = document.getElementById("filter");
  const tables = [...document.querySelectorAll("section > .scroll > table")].map((table) => {
    const section = table.closest("section");
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) row.search = row.textContent.toLowerCase();
    return { table, section, rows, count: section.querySelector("[data-count]"), whole: section.querySelector("[data-count]").textContent };
  });

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { section, rows, count, whole } of tables) {
      let shown = 0;
      for (const row of rows) {
        const fits = words.every((word) => row.search.includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = words.length ? `${shown} of ${whole}` : whole;
      section.classList.toggle("empty", words.length > 0 && shown === 0);
    }
    document.documentElement.dataset.filtered = words.length ? "yes" : "no";
  };
  filter.addEventListener("input", apply);

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== filter) {
      event.preventDefault();
      filter.focus();
    } else if (event.key === "Escape" && document.activeElement === filter) {
      filter.value = "";
      apply();
      filter.blur();
    }
  });

  for (const { table, rows } of tables) {
    const heads = [...table.tHead.rows[0].cells];
    table.tHead.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const column = Number(button.dataset.column);
      const head = heads[column];
      const numeric = head.classList.contains("number");
      const down = head.ariaSort === "none" ? numeric : head.ariaSort === "ascending";
      for (const other of heads) other.ariaSort = "none";
      head.ariaSort = down ? "descending" : "ascending";
      const key = (row) => row.cells[column].dataset.key;
      const order = numeric ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b));
      rows.sort((a, b) => (down ? -order(a, b) : order(a, b)));
      table.tBodies[0].append(...rows);
    });
  }

  const tip = document.getElementById("tip");
  const bars = [...document.querySelectorAll(".timeline g")];
  const tell = (event) => {
    const bar = event.target.closest("g");
    if (tip && bar) tip.textContent = bar.dataset.tip;
  };
  for (const [index, bar] of bars.entries()) {
    bar.tabIndex = index ? -1 : 0;
    bar.addEventListener("mouseenter", tell);
    bar.addEventListener("focus", tell);
    bar.addEventListener("keydown", (event) => {
      const next = bars[index + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? NaN)];
      if (!next) return;
      event.preventDefault();
      bar.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  const theme = document.getElementById("theme");
  theme.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    theme.ariaPressed = String(!dark);
  });

  document.documentElement.dataset.ready = String(tables.reduce((sum, { rows }) => sum + rows.length, 0));
})();
