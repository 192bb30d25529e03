"use strict";
// Order and filters of one list on a page. An item of it carries what it is sorted by, data-values
// (view -> name -> number or text; view "" stands for all explainers), and what it is filtered by,
// data-tags (name -> list of texts). Without this script the list shows everything.
(() => {
  const list = document.querySelector(".list");
  const form = document.querySelector(".controls");
  const items = [...list.querySelectorAll(".item")].map((element) => ({
    element,
    values: JSON.parse(element.dataset.values),
    tags: JSON.parse(element.dataset.tags),
    words: element.textContent.toLowerCase(),
  }));
  const home = list.querySelector("tbody") || list;
  const { sort, view, size, text } = form.elements;
  let [key, direction] = sort.value.split(":");

  const seen = () => (view ? view.value : "");
  const value = (item) => (item.values[seen()] || {})[key];

  // undefined numbers come last in either direction; equal ones keep the page's order
  function compare(a, b) {
    const [x, y] = [value(a) ?? null, value(b) ?? null];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return direction === "down" ? -order : order;
  }

  function passes(item) {
    const wanted = [...form.querySelectorAll("[data-tag]")].filter((select) => select.value);
    const words = text ? text.value.trim().toLowerCase() : "";
    return wanted.every((select) => item.tags[select.dataset.tag].includes(select.value)) &&
      item.words.includes(words);
  }

  function show(item) {
    const found = item.values[seen()] || {};
    for (const place of item.element.querySelectorAll("[data-show]")) {
      const number = found[place.dataset.show] ?? null;
      place.textContent = number === null ? "–" : number.toFixed(2);
    }
    for (const block of item.element.querySelectorAll("[data-view]")) {
      block.hidden = seen() !== "" && block.dataset.view !== seen();
    }
  }

  function update() {
    let count = 0;
    for (const item of [...items].sort(compare)) {
      item.element.hidden = !passes(item);
      count += !item.element.hidden;
      show(item);
      home.append(item.element);
    }
    form.querySelector(".count").textContent = `${count} of ${items.length}`;
    for (const button of list.querySelectorAll("[data-key]")) {
      const sorted = button.dataset.key === key;
      const name = direction === "down" ? "descending" : "ascending";
      button.closest("th").setAttribute("aria-sort", sorted ? name : "none");
    }
  }

  // a column's button sorts by it, a second press turns the order round
  for (const button of list.querySelectorAll("[data-key]")) {
    button.addEventListener("click", () => {
      const again = button.dataset.key === key;
      direction = again && direction === "up" ? "down" : "up";
      key = button.dataset.key;
      sort.value = `${key}:${direction}`; // empty where the list of orders has no such one
      update();
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target === sort) [key, direction] = sort.value.split(":");
    if (event.target === size) list.style.setProperty("--picture", size.value);
    update();
  });
  update();
})();
