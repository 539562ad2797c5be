// Search over collection titles, filters and price order of a collection page. No dependencies;
// text from the catalog enters the page through textContent only.
"use strict";

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const items = (n) => {
  const { noun, nouns } = document.querySelector("[data-noun]").dataset;
  return `${n.toLocaleString("en")} ${n === 1 ? noun : nouns}`;
};

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function searchBox(box) {
  const input = box.querySelector("input");
  const found = box.querySelector(".found");
  const list = found.querySelector("ul");
  const browse = document.getElementById("browse");
  const limit = browse ? 48 : 10;
  let index = null;

  function load() {
    if (index) return;
    index = [];
    const script = document.createElement("script");
    script.src = box.dataset.search;
    script.onload = () => {
      index = window.COLLECTIONS.map((row) => [fold(row[0]), ...row]);
      show();
    };
    document.head.append(script);
  }

  function row([, title, href, products, picture]) {
    const link = element("a");
    link.href = box.dataset.root + href;
    const thumb = element("span", "thumb");
    if (picture) {
      const image = element("img");
      image.src = box.dataset.root + picture;
      image.alt = "";
      image.width = image.height = 56;
      thumb.append(image);
    } else {
      thumb.textContent = title.slice(0, 1);
    }
    const text = element("span");
    const name = element("b", "", title);
    name.dir = "auto";
    text.append(name, element("small", "", items(products)));
    link.append(thumb, text);
    const item = element("li");
    item.append(link);
    return item;
  }

  function show() {
    const words = fold(input.value).split(/\s+/).filter(Boolean);
    const active = words.length > 0;
    found.hidden = !active;
    if (browse) browse.hidden = active;
    if (!active || !index) return;
    const starts = (text, word) => (" " + text).includes(" " + word);
    const hits = index
      .filter(([text]) => words.every((word) => text.includes(word)))
      .map((entry) => [words.filter((word) => starts(entry[0], word)).length, entry])
      .map(([score, entry]) => [score + (entry[0] === words.join(" ")), entry])
      .sort((a, b) => b[0] - a[0]) // stable: better collections stay first
      .map(([, entry]) => entry);
    const more = hits.length > limit ? `, the first ${limit} are shown` : "";
    found.querySelector("p").textContent =
      (hits.length ? plural(hits.length, "collection") : "No collection") + " found" + more;
    list.replaceChildren(...hits.slice(0, limit).map(row));
  }

  input.addEventListener("focus", load);
  input.addEventListener("input", () => (load(), show()));
  box.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      input.value = "";
      show();
      input.focus();
    } else if (event.key === "ArrowDown" && links.length) {
      links[Math.min(at + 1, links.length - 1)].focus();
      event.preventDefault();
    } else if (event.key === "ArrowUp" && at >= 0) {
      (at === 0 ? input : links[at - 1]).focus();
      event.preventDefault();
    }
  });
  if (!browse) {
    document.addEventListener("click", (event) => {
      if (!box.contains(event.target)) found.hidden = true;
    });
  }
}

function shop(root) {
  const list = root.querySelector(".products");
  const cards = [...list.children];
  const marks = new Map(cards.map((card) => [card, new Set(card.dataset.marks.split(" "))]));
  const filters = root.querySelector(".filters");
  const groups = [...root.querySelectorAll("fieldset")].map((set) => [...set.querySelectorAll("input")]);
  const status = root.querySelector(".shown");
  const whole = status.textContent;

  // a product passes when it has one of the ticked options of every group (but `except`)
  const passes = (card, except) =>
    groups.every((group) => {
      const ticked = group.filter((box) => box.checked);
      return group === except || !ticked.length || ticked.some((box) => marks.get(card).has(box.value));
    });

  function apply() {
    let left = 0;
    for (const card of cards) {
      card.hidden = !passes(card);
      left += !card.hidden;
    }
    for (const group of groups) {
      const others = cards.filter((card) => passes(card, group));
      for (const box of group) {
        const hits = others.filter((card) => marks.get(card).has(box.value)).length;
        box.parentElement.querySelector("small").textContent = hits;
        box.parentElement.classList.toggle("none", !hits && !box.checked);
      }
    }
    const ticked = groups.flat().filter((box) => box.checked).length;
    if (filters) {
      filters.querySelector(".active-count").textContent = ticked ? `(${ticked})` : "";
      filters.querySelector("button").hidden = !ticked;
    }
    status.textContent = left < cards.length ? `${items(left)} of ${cards.length}` : whole;
    root.querySelector(".nothing").hidden = left > 0;
  }

  if (filters) {
    const wide = window.matchMedia("(min-width: 900px)");
    const place = () => (filters.open = wide.matches);
    wide.addEventListener("change", place);
    place();
    const form = filters.querySelector("form");
    form.addEventListener("change", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    apply(); // a browser may have restored ticks
  }

  const order = root.querySelector(".sort");
  order?.addEventListener("change", () => {
    const sign = order.value === "down" ? -1 : 1;
    const price = (card) => ("price" in card.dataset ? sign * card.dataset.price : Infinity);
    const sorted = order.value ? [...cards].sort((a, b) => price(a) - price(b) || 0) : cards;
    list.append(...sorted);
  });
}

document.querySelectorAll("[data-search]").forEach(searchBox);
document.querySelectorAll(".shop").forEach(shop);
