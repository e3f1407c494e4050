// Decides which images are shown, in which order, and how many images each label has. The state is in the address.

// `label` is the place of a label, or one of these.
const ALL = "all", NONE = "none", FAILED = "failed";
// Tags are all right, and with one label per image, each is the top label.
const canRank = run.ranked && images.some((image) => image.labels.length > 1);
const unfiltered = { label: ALL, top: canRank, least: 0, order: "input", name: "", heat: false };
let state = { ...unfiltered };
// The indices of the images that are shown.
let shown = [];

const nFailed = images.filter((image) => image.error !== undefined).length;
const nWithout = images.filter((image) => image.error === undefined && !isLabelled(image)).length;
const haveHeat = images.some((image) => image.heat !== undefined);
const isName = (image) => image.searched.includes(state.name.toLowerCase());
const chosenLabel = () => (typeof state.label === "number" ? state.label : -1);

// The rank of the label that an image is filtered and sorted by; -1 if it has none.
function rankOf(image) {
  if (typeof state.label === "number") return image.labels.indexOf(state.label);
  return isLabelled(image) ? 0 : -1;
}

function isShown(image) {
  if (!isName(image)) return false;
  if (state.label === FAILED || image.error !== undefined) return state.label === FAILED && image.error !== undefined;
  if (state.label === NONE) return !isLabelled(image);
  if (state.label === ALL && state.least === 0) return true;
  const rank = rankOf(image);
  if (rank < 0 || (state.top && rank > 0)) return false;
  return state.least === 0 || image.scores[rank] * 100 >= state.least;
}

function select() {
  shown = [];
  for (const image of images) if (isShown(image)) shown.push(image.index);
  if (state.order === "name") {
    const byName = new Intl.Collator(undefined, { numeric: true });
    shown.sort((a, b) => byName.compare(images[a].base, images[b].base) || a - b);
  } else if (state.order !== "input") {
    const sign = state.order === "high" ? -1 : 1;
    const keys = new Float64Array(images.length);
    for (const index of shown) keys[index] = images[index].scores[rankOf(images[index])] ?? -2;
    shown.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
  }
}

// How many images each label would show with the other filters as they are.
function counts() {
  const counts = new Int32Array(labels.length);
  let n = 0;
  for (const image of images) {
    if (image.error !== undefined || !isName(image)) continue;
    if (state.least === 0 || image.scores[0] * 100 >= state.least) n++;
    const last = state.top ? Math.min(1, image.labels.length) : image.labels.length;
    for (let rank = 0; rank < last; rank++) {
      if (state.least === 0 || image.scores[rank] * 100 >= state.least) counts[image.labels[rank]]++;
    }
  }
  return { counts, n };
}

// The sidebar lists labels from the most frequent one on, where labels are ranked by how often they are the top label, and
// not more than can be read.
const LISTED = 200;
const frequency = new Int32Array(labels.length);
for (const image of images) for (const place of canRank ? image.labels.slice(0, 1) : image.labels) frequency[place]++;
const byFrequency = labels.map((_, place) => place).sort((a, b) => frequency[b] - frequency[a] || a - b);
let choices = [];

function choice(value, text, written, kind) {
  const input = element("input", { type: "radio", name: "label", value: String(value) });
  const number = element("span", { className: "number" });
  const label = element("label", { title: text }, input, element("span", { className: "label", textContent: written }), number);
  part("choices").append(element("li", { className: kind }, label));
  choices.push({ value, input, number });
}

function listChoices() {
  const wanted = part("find").value.toLowerCase();
  const found = byFrequency.filter((place) => labels[place].toLowerCase().includes(wanted));
  const listed = found.slice(0, LISTED);
  if (chosenLabel() >= 0 && !listed.includes(chosenLabel())) listed.unshift(chosenLabel());
  part("choices").replaceChildren();
  choices = [];
  choice(ALL, "all images", "all images", "special");
  for (const place of listed) choice(place, labels[place], briefs[place], "");
  if (nWithout > 0) choice(NONE, "no label", "no label", "special");
  if (nFailed > 0) choice(FAILED, "failed images", "failed images", "special");
  part("unlisted").hidden = found.length <= LISTED;
  part("unlisted").textContent = `${found.length - LISTED} more: type a part of one above`;
}

function showCounts() {
  const { counts: ofLabels, n } = counts();
  const special = { [ALL]: n, [NONE]: nWithout, [FAILED]: nFailed };
  for (const { value, input, number } of choices) {
    const text = inWords(special[value] ?? ofLabels[value]);
    // Writing what is there already would cost a layout.
    if (number.textContent !== text) number.textContent = text;
    if (input.checked !== (value === state.label)) input.checked = value === state.label;
  }
}

function showControls() {
  if (part("name").value !== state.name) part("name").value = state.name;
  part("order").value = state.order;
  part("least").value = state.least;
  part("least-shown").value = areShares ? `${state.least}%` : (state.least / 100).toFixed(2);
  part("top").checked = state.top;
  part("top").disabled = chosenLabel() < 0;
  part("heat").setAttribute("aria-pressed", state.heat);
  if (chosenLabel() >= 0 && !choices.some((choice) => choice.value === chosenLabel())) listChoices();
}

const inThousands = new Intl.NumberFormat("en");
const inWords = (count) => inThousands.format(count);

function countText() {
  const failed = nFailed > 0 && state.label !== FAILED ? `, ${inWords(nFailed)} failed` : "";
  return `${inWords(shown.length)} of ${inWords(images.length)} images${failed}`;
}

// The address holds what differs from a page without filters. Labels are written in words, so that a link stays readable.
function toAddress(open) {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== unfiltered[name] && name !== "label") fields.set(name, value === true ? "1" : value === false ? "0" : value);
  }
  if (chosenLabel() >= 0) fields.set("label", labels[state.label]);
  else if (state.label !== ALL) fields.set("show", state.label);
  if (open >= 0) fields.set("image", open);
  return `#${fields}`;
}

// The state that the address says.
function fromAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const least = Number(fields.get("least") ?? 0);
  const show = fields.get("show");
  return {
    label: labelPlaces.get(fields.get("label")) ?? ([NONE, FAILED].includes(show) ? show : ALL),
    top: canRank && fields.get("top") !== "0",
    least: least >= 0 && least <= 100 ? least : 0,
    order: ["high", "low", "name"].includes(fields.get("order")) ? fields.get("order") : "input",
    name: fields.get("name") ?? "",
    heat: fields.get("heat") === "1",
  };
}

// The image that the address opens, or -1.
function openInAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const open = Number(fields.get("image") ?? -1);
  return images[open] === undefined ? -1 : open;
}

// Browsers allow a few changes of the address per second, and a slider makes many.
const BETWEEN_ADDRESSES_MS = 200;
let addressTimer;

function writeAddress() {
  clearTimeout(addressTimer);
  history.replaceState(history.state, "", toAddress(view.open ? shown[viewed] : -1));
}

function remember() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, BETWEEN_ADDRESSES_MS);
}

// Shows what the state says.
function update() {
  select();
  showControls();
  showCounts();
  part("count").textContent = countText();
  part("nothing").hidden = shown.length > 0;
  redraw();
}

function change(changes) {
  state = { ...state, ...changes };
  update();
  remember();
}
