"use strict";
// Sort a table by a press on a column's head: best first, pressed again worst first. Cells without a number stay last.
const collator = new Intl.Collator("en", { numeric: true });

function sortable(table, changed) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  const start = heads.findIndex((head) => head.hasAttribute("aria-sort"));
  const standard = [start, start < 0 ? "" : heads[start].getAttribute("aria-sort")];
  let now = standard;
  const first = (column) => (heads[column].dataset.direction === "higher" ? "descending" : "ascending");
  const key = (row, column) => {
    const cell = row.cells[column];
    if ("value" in cell.dataset) return Number(cell.dataset.value);
    if (cell.classList.contains("state")) return null;
    return (cell.querySelector("a, bdi") ?? cell).textContent.trim();
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
  const sort = (column, order) => {
    if (column === now[0] && order === now[1]) return;
    now = [column, order];
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    if (column >= 0) heads[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = original.map((row) => [column < 0 ? 0 : key(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    // What joins neighbours by rank says nothing in another order.
    table.classList.toggle("reordered", column !== standard[0] || order !== standard[1]);
  };
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const turned = first(column) === "ascending" ? "descending" : "ascending";
      sort(column, now[0] === column && now[1] === first(column) ? turned : first(column));
      changed?.();
    });
  });
  return { heads, rows: original, sort, standard, now: () => now };
}

// Filter a ranking and choose its columns. What differs from the page as it opens stands in the address, as
// #?sort=KEY:descending&find=TEXT&hide=KINDS&without=KEYS, so that a link shows it and Back undoes it.
function ranking(table, tools) {
  const find = tools.querySelector("[name=find]");
  const kinds = [...tools.querySelectorAll("[name=kind]")];
  const columns = [...tools.querySelectorAll("[name=column]")];
  const reset = tools.querySelector("button");
  const status = tools.querySelector("[role=status]");
  const sorted = sortable(table, () => store(true));
  const places = new Map(sorted.heads.map((head, place) => [head.dataset.key, place]));
  const texts = new Map(
    sorted.rows.map((row) => [row, [...row.querySelectorAll(".find")].map((e) => e.textContent.toLowerCase())])
  );
  const kindsOf = new Map(sorted.rows.map((row) => [row, row.dataset.kinds.split(" ")]));
  const left = (boxes) => boxes.filter((box) => !box.checked).map((box) => box.value);

  function show() {
    const wanted = find.value.trim().toLowerCase();
    const hidden = left(kinds);
    let count = 0;
    for (const row of sorted.rows) {
      row.hidden = !texts.get(row).some((text) => text.includes(wanted)) || hidden.some((k) => kindsOf.get(row).includes(k));
      count += !row.hidden;
    }
    for (const box of columns) {
      const place = places.get(box.value);
      if (sorted.heads[place].hidden === !box.checked) continue;
      for (const row of [table.tHead.rows[0], ...sorted.rows]) row.cells[place].hidden = !box.checked;
    }
    const all = sorted.rows.length;
    status.textContent = count === all ? "" : count ? `${count} of ${all} rows` : "No row matches.";
    reset.hidden = !state();
  }

  function state() {
    const parts = new URLSearchParams();
    const [column, order] = sorted.now();
    if (column !== sorted.standard[0] || order !== sorted.standard[1]) parts.set("sort", `${sorted.heads[column].dataset.key}:${order}`);
    if (find.value.trim()) parts.set("find", find.value.trim());
    if (left(kinds).length) parts.set("hide", left(kinds).join(","));
    if (left(columns).length) parts.set("without", left(columns).join(","));
    return parts.toString();
  }

  function store(push) {
    show();
    const text = state();
    const address = location.hash.split("?")[0] || "#";
    history[push ? "pushState" : "replaceState"](null, "", text ? `${address}?${text}` : address);
    carry();
  }

  // The other rankings of the task open in the same state.
  function carry() {
    const text = state();
    for (const link of document.querySelectorAll(".tracks a")) link.hash = text ? `?${text}` : "";
  }

  function restore() {
    const parts = new URLSearchParams(location.hash.split("?").slice(1).join("?"));
    const list = (name) => (parts.get(name) ?? "").split(",");
    const [key, order] = (parts.get("sort") ?? "").split(/:(?=[^:]*$)/);
    const known = places.has(key) && ["ascending", "descending"].includes(order);
    sorted.sort(...(known ? [places.get(key), order] : sorted.standard));
    find.value = parts.get("find") ?? "";
    for (const box of kinds) box.checked = !list("hide").includes(box.value);
    for (const box of columns) box.checked = !list("without").includes(box.value);
    show();
    carry();
  }

  let typing = false;
  find.addEventListener("input", () => {
    store(!typing); // a word is one step back, not one a letter
    typing = true;
  });
  find.addEventListener("change", () => (typing = false));
  for (const box of [...kinds, ...columns]) box.addEventListener("change", () => store(true));
  reset.addEventListener("click", () => {
    sorted.sort(...sorted.standard);
    find.value = "";
    for (const box of [...kinds, ...columns]) box.checked = true;
    store(true);
    find.focus();
  });
  addEventListener("popstate", () => {
    typing = false;
    restore();
  });
  tools.hidden = false;
  restore();
}

for (const table of document.querySelectorAll("table.sortable")) {
  const tools = table.classList.contains("ranking") && table.parentElement.previousElementSibling;
  if (tools && tools.classList.contains("tools")) ranking(table, tools);
  else sortable(table);
}
