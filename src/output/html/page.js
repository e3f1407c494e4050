"use strict";
const figures = [...document.querySelectorAll("figure")].map((element, place) => ({
  element,
  place,
  path: element.dataset.path.toLowerCase(),
  bars: [...element.querySelectorAll(".labels li")].map((bar, rank) => ({
    bar, rank, label: bar.dataset.label, score: Number(bar.dataset.score),
  })),
}));
const control = (id) => document.getElementById(id);

// Labels that only some pictures have are not known when the page begins.
const known = new Set([...control("label").options].map((option) => option.value));
for (const { bars } of figures) {
  for (const { label } of bars) {
    if (!known.has(label)) {
      known.add(label);
      control("label").add(new Option(label, label));
    }
  }
}

// Probabilities are shown in percent, cosines as they are.
const areShares = document.querySelector(".labels .score")?.textContent.includes("%") ?? true;

// The score that a picture is judged by: the chosen label's, or its best one's.
function judged(figure) {
  const label = control("label").value;
  return label === "" ? figure.bars[0] : figure.bars.find((bar) => bar.label === label);
}

function isShown(figure) {
  const least = Number(control("least").value) / 100;
  if (!figure.path.includes(control("name").value.toLowerCase())) return false;
  if (control("label").value === "" && least === 0) return true;
  const bar = judged(figure);
  if (bar === undefined) return false;
  // A label without a least score means the pictures that it fits best.
  return least > 0 ? bar.score >= least : bar.rank === 0;
}

function update() {
  const least = Number(control("least").value);
  control("least-shown").value = areShares ? `${least} %` : (least / 100).toFixed(2);
  const order = control("order").value;
  const score = (figure) => judged(figure)?.score ?? -1;
  const sorted = [...figures].sort((a, b) =>
    order === "high" ? score(b) - score(a) : order === "low" ? score(a) - score(b) : a.place - b.place);
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
  control("count").textContent = `${shown} of ${figures.length} pictures`;
}

for (const id of ["label", "least", "order", "name"]) control(id).addEventListener("input", update);
update();
