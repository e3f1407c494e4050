"use strict";
// Reads the images of the page, and says how they are written.

const part = (id) => document.getElementById(id);
const run = JSON.parse(part("run").textContent);

// Labels that belong to single images come after those of the run.
const labels = [...run.labels];
const labelPlaces = new Map(labels.map((label, place) => [label, place]));

function placeOf(label) {
  if (typeof label === "number") return label;
  if (!labelPlaces.has(label)) {
    labelPlaces.set(label, labels.length);
    labels.push(label);
  }
  return labelPlaces.get(label);
}

// Each image has `labels`, places of labels from the highest score to the lowest, and `scores` in the same order.
const images = [...document.querySelectorAll("script.image")].map((element, index) => {
  const image = JSON.parse(element.textContent);
  // The text would stay in memory a second time.
  element.remove();
  const cut = image.name.replace(/[\\/]+$/, "").search(/[^\\/]*$/);
  return {
    ...image,
    index,
    base: image.name.slice(cut),
    folder: image.name.slice(0, cut),
    searched: image.name.toLowerCase(),
    labels: Int32Array.from(image.labels ?? [], placeOf),
    scores: image.scores ?? [],
    groups: image.groups ?? [],
  };
});

const isLabelled = (image) => image.labels.length > 0;
const areShares = !images.some((image) => image.cosines);

function scoreText(score, isCosine) {
  if (score === null) return "";
  return isCosine ? score.toFixed(4) : `${(100 * score).toFixed(1)}%`;
}

const jpeg = (base64) => `data:image/jpeg;base64,${base64}`;

// Labels as they are written where there is little room. Of a beginning that two labels share, such as the first sentence of
// two paragraphs, only the first words and the last ones stay.
const SHARED_MAX = 32;
const briefs = [...labels];
const sorted = labels.map((_, place) => place).sort((a, b) => (labels[a] < labels[b] ? -1 : 1));
function sharedLength(a, b) {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return n;
}
sorted.forEach((place, i) => {
  const label = labels[place];
  const near = [sorted[i - 1], sorted[i + 1]].filter((other) => other !== undefined);
  const shared = Math.max(0, ...near.map((other) => sharedLength(label, labels[other])));
  if (shared < SHARED_MAX) return;
  const wordBefore = (at) => Math.max(label.lastIndexOf(" ", at), at - 10);
  briefs[place] = `${label.slice(0, wordBefore(12))} …${label.slice(wordBefore(shared - 8))}`;
});

// What a screen reader says of an image.
function described(image) {
  if (image.error !== undefined) return `${image.base}: failed`;
  if (!isLabelled(image)) return `${image.base}: no label`;
  return `${image.base}: ${labels[image.labels[0]]} ${scoreText(image.scores[0], image.cosines)}`;
}

// Letters of East Asian scripts and symbols are two columns wide.
const columns = (letter) => (letter.codePointAt(0) >= 0x1100 ? 2 : 1);

// The beginning and the end of a name that is too long, with the end of its extension.
function shortened(name, width) {
  const letters = [...name];
  if (letters.reduce((sum, letter) => sum + columns(letter), 0) <= width) return name;
  const taken = (list, most) => {
    let sum = 0;
    return list.slice(0, list.findIndex((letter) => (sum += columns(letter)) > most));
  };
  const end = taken([...letters].reverse(), Math.floor(width / 3)).reverse();
  return `${taken(letters, width - 1 - Math.floor(width / 3)).join("")}…${end.join("")}`;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made[name] = value;
  made.append(...children);
  return made;
}

// A label or group with its score, and a bar of that length.
function bar(label, score, isCosine, written = label) {
  const filled = element("span", { className: "bar" });
  filled.style.width = `${100 * Math.min(Math.max(score ?? 0, 0), 1)}%`;
  return element("li", { title: label }, filled, element("span", { className: "label", textContent: written }),
    element("span", { className: "score", textContent: scoreText(score, isCosine) }));
}

function labelBar(image, rank, chosen, texts) {
  const place = image.labels[rank];
  const made = bar(labels[place], image.scores[rank], image.cosines, texts[place]);
  made.classList.toggle("chosen", place === chosen);
  return made;
}
