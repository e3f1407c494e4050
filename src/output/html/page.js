"use strict";
const figures = [...document.querySelectorAll("figure")].map((element, index) => ({
  element,
  index,
  path: element.dataset.path.toLowerCase(),
  bars: [...element.querySelectorAll(".labels li")].map((bar, rank) => ({
    bar, rank, label: bar.dataset.label, score: Number(bar.dataset.score),
  })),
}));
const control = (id) => document.getElementById(id);

// Labels of single images are not known when the page is begun.
const known = new Set([...control("label").options].map((option) => option.value));
for (const { bars } of figures) {
  for (const { label } of bars) {
    if (!known.has(label)) {
      known.add(label);
      control("label").add(new Option(label, label));
    }
  }
}

// Probabilities are shown in percent, cosines as numbers.
const areShares = document.querySelector(".labels .score")?.textContent.includes("%") ?? true;

// The bar that an image is filtered and sorted by: that of the chosen label, or the best one.
function decisive(figure) {
  const label = control("label").value;
  return label === "" ? figure.bars[0] : figure.bars.find((bar) => bar.label === label);
}

function isShown(figure) {
  const least = Number(control("least").value) / 100;
  if (!figure.path.includes(control("name").value.toLowerCase())) return false;
  if (control("label").value === "" && least === 0) return true;
  const bar = decisive(figure);
  if (bar === undefined) return false;
  // A label without a least score selects the images that it fits best.
  return least > 0 ? bar.score >= least : bar.rank === 0;
}

function update() {
  const least = Number(control("least").value);
  control("least-shown").value = areShares ? `${least}%` : (least / 100).toFixed(2);
  const order = control("order").value;
  const score = (figure) => decisive(figure)?.score ?? -1;
  const sorted = [...figures].sort((a, b) =>
    order === "high" ? score(b) - score(a) : order === "low" ? score(a) - score(b) : a.index - b.index);
  const chosen = control("label").value;
  let shown = 0;
  for (const figure of sorted) {
    figure.element.hidden = !isShown(figure);
    shown += figure.element.hidden ? 0 : 1;
    for (const { bar, rank, label } of figure.bars) {
      bar.classList.toggle("chosen", label === chosen);
      bar.hidden = rank >= 5 && label !== chosen;
    }
  }
  document.querySelector("main").append(...sorted.map((figure) => figure.element));
  control("count").textContent = `${shown} of ${figures.length} images`;
}

for (const id of ["label", "least", "order", "name"]) control(id).addEventListener("input", update);
update();
