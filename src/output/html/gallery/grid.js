// Draws the images on the screen, and a few rows above and below. All cards have the same size, so the position of a row
// follows from its number.

const SPARE_ROWS = 2;
// After a click, the rows on the screen are drawn first, and the spare ones a moment later.
const SPARE_ROWS_AFTER_MS = 50;
let spareTimer;
const list = part("images");
// Elements by the index of their image among those shown.
let cards = new Map();
let layout = { columns: 1, width: 0, height: 1, gap: 0 };

// Long labels get fewer rows with more lines, so that two paragraphs can be distinguished.
const areLong = briefs.some((text, place) => text.length > 24 || text !== labels[place]);
const shownAtMost = (kind) => images.reduce((most, image) => Math.max(most, Math.min(image[kind].length, areLong ? 3 : 5)), 0);
const SHOWN_LABELS = shownAtMost("labels");
const SHOWN_GROUPS = shownAtMost("groups");
// Notes below the labels say whether a file is a copy, or gone.
const notesOf = (image) => (image.copy === undefined ? 0 : 1) + (image.state === undefined ? 0 : 1);
const nNotes = images.reduce((most, image) => Math.max(most, notesOf(image)), 0);
list.style.setProperty("--rows", Math.max(SHOWN_LABELS + nNotes, nFailed > 0 ? 2 : 1));
list.style.setProperty("--group-rows", SHOWN_GROUPS);
list.classList.toggle("long", areLong);

// The first labels. If the chosen label is not among them, it replaces the last of them.
function shownRanks(image) {
  const ranks = [...image.labels.slice(0, SHOWN_LABELS).keys()];
  const chosen = image.labels.indexOf(chosenLabel());
  if (chosen >= SHOWN_LABELS) ranks[ranks.length - 1] = chosen;
  return ranks;
}

// In place of an image that could not be read.
const NO_IMAGE = "no image";

function pictureOf(image) {
  const source = state.heat ? image.heat ?? image.photo : image.photo;
  if (source === undefined) return element("span", { className: "none", textContent: NO_IMAGE });
  const isHeat = source === image.heat;
  return element("img", { alt: described(image) + (isHeat ? ", heat map" : ""), decoding: "async", src: jpeg(source) });
}

// The card of an image, with its index among those shown.
function card(image, at) {
  const open = element("button", { type: "button", className: "open" }, pictureOf(image));
  // What is read aloud has the words that are seen.
  if (image.photo === undefined) open.ariaLabel = `${described(image)}, ${NO_IMAGE}`;
  open.addEventListener("click", () => openView(at));
  // Two lines of letters of average width, minus the space that line breaks between words waste.
  const base = shortened(image.base, Math.floor(1.7 * (layout.width - 20) / 8.5));
  const name = image.link === undefined ? element("span", { textContent: base }) : linkTo(image, base);
  name.className = "base";
  name.title = image.name;
  const folder = element("div", { className: "folder", title: image.name }, element("bdi", { textContent: image.folder }));
  const info = element("div", { className: "info" }, element("div", { className: "names" }, name, folder));
  if (image.error !== undefined) info.append(element("p", { className: "failed", textContent: image.error, title: image.error }));
  else {
    const state = image.state === undefined ? [] : [element("li", {}, element("span", { className: "failed", textContent: `file ${image.state}` }))];
    const copy = image.copy === undefined ? [] : [element("li", { textContent: image.copy })];
    info.append(element("ol", { className: "scores" }, ...shownRanks(image).map((rank) => labelBar(image, rank, chosenLabel(), briefs)), ...copy, ...state));
    if (image.groups.length > 0) {
      const groups = image.groups.slice(0, SHOWN_GROUPS);
      info.append(element("ol", { className: "scores groups" }, ...groups.map(([group, score]) => bar(group, score, false))));
    }
  }
  const made = element("li", {}, element("figure", { className: "card" }, open, info));
  made.ariaSetSize = shown.length;
  made.ariaPosInSet = at + 1;
  return made;
}

function linkTo(image, text) {
  return element("a", { href: image.link, target: "_blank", rel: "noopener noreferrer", textContent: text });
}

// Sizes of cards in this window.
function measure() {
  const style = getComputedStyle(list);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const gap = rem * parseFloat(style.getPropertyValue("--gap"));
  const least = rem * parseFloat(style.getPropertyValue("--card"));
  const columns = Math.max(1, Math.floor((list.clientWidth + gap) / (least + gap)));
  const width = (list.clientWidth - gap * (columns - 1)) / columns;
  layout = { columns, width, gap, height: layout.height };
  document.documentElement.style.setProperty("--header", `${document.querySelector("header").offsetHeight}px`);
  if (images.length === 0) return;
  const probe = place(card(images[0], 0), 0);
  list.append(probe);
  layout.height = probe.offsetHeight;
  probe.remove();
}

function place(element, at) {
  const { columns, width, height, gap } = layout;
  element.style.width = `${width}px`;
  element.style.left = `${(at % columns) * (width + gap)}px`;
  element.style.top = `${Math.floor(at / columns) * (height + gap)}px`;
  return element;
}

// Draws the cards that are missing and removes those that are far away. The card with the focus stays.
function draw(spareRows = SPARE_ROWS) {
  const { columns, height, gap } = layout;
  const row = height + gap;
  const from = -list.getBoundingClientRect().top;
  const first = Math.max(0, (Math.floor(from / row) - spareRows) * columns);
  const last = Math.min(shown.length, (Math.ceil((from + innerHeight) / row) + spareRows) * columns);
  for (const [at, element] of cards) {
    if ((at < first || at >= last) && !element.contains(document.activeElement)) {
      element.remove();
      cards.delete(at);
    }
  }
  for (let at = first; at < last; at++) if (!cards.has(at)) cards.set(at, place(card(images[shown[at]], at), at));
  // Elements must be in reading order, for screen readers and the Tab key.
  let before = null;
  for (const at of [...cards.keys()].sort((a, b) => b - a)) {
    const element = cards.get(at);
    if (element.parentNode !== list || element.nextSibling !== before) list.insertBefore(element, before);
    before = element;
  }
}

// Draws everything anew: other images are shown, or cards have another size.
function redraw() {
  const focused = [...cards].find(([, element]) => element.contains(document.activeElement))?.[0];
  cards = new Map();
  list.replaceChildren();
  const rows = Math.ceil(shown.length / layout.columns);
  list.style.height = `${Math.max(0, rows * (layout.height + layout.gap) - layout.gap)}px`;
  draw(0);
  clearTimeout(spareTimer);
  spareTimer = setTimeout(draw, SPARE_ROWS_AFTER_MS);
  if (focused !== undefined) focusCard(Math.min(focused, shown.length - 1));
}

// Scrolls to a card and focuses it.
function focusCard(at) {
  if (at < 0) return;
  const { columns, height, gap } = layout;
  const top = list.getBoundingClientRect().top + Math.floor(at / columns) * (height + gap);
  const header = document.querySelector("header").offsetHeight;
  if (top < header) scrollBy({ top: top - header - gap, behavior: "instant" });
  else if (top + height > innerHeight) scrollBy({ top: top + height - innerHeight + gap, behavior: "instant" });
  draw();
  cards.get(at)?.querySelector(".open").focus({ preventScroll: true });
}

// Arrow keys move between cards.
list.addEventListener("keydown", (event) => {
  if (!event.target.classList.contains("open") || event.ctrlKey || event.altKey || event.metaKey) return;
  const at = [...cards].find(([, element]) => element.contains(event.target))[0];
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -layout.columns, ArrowDown: layout.columns,
    Home: -at, End: shown.length - 1 - at };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const to = at + steps[event.key];
  if (to >= 0 && to < shown.length) focusCard(to);
});
