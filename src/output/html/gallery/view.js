// Shows one image large, with all of its scores.

const view = part("view");
// The place of the image among those shown.
let viewed = 0;

function openView(at) {
  writeAddress();
  viewed = at;
  history.pushState({ isView: true }, "", toAddress(shown[at]));
  showView();
}

function showView() {
  const image = images[shown[viewed]];
  if (!view.open) view.showModal();
  part("view-place").textContent = `${inWords(viewed + 1)} of ${inWords(shown.length)}`;
  part("previous").disabled = viewed === 0;
  part("next").disabled = viewed === shown.length - 1;
  part("view-name").textContent = image.base;
  part("view-folder").textContent = image.folder;
  part("view-link").replaceChildren(...(image.link === undefined ? [] : [linkTo(image, "Open the file")]));
  const change = image.state === undefined ? "" : `The file is ${image.state} since it was indexed.`;
  part("view-note").textContent = image.error ?? [image.copy ?? "", change].join(" ").trim();
  part("view-scores").replaceChildren(...[...image.labels.keys()].map((rank) => labelBar(image, rank, chosenLabel(), labels)));
  part("view-groups").replaceChildren(...image.groups.map(([group, score]) => bar(group, score, false)));
  part("view-groups").hidden = image.groups.length === 0;
  part("view-text").scrollTop = 0;
  showPhoto(image);
}

// The thumbnail at once, and the file from disk in its place if the browser can show it.
function showPhoto(image) {
  const hasHeat = image.heat !== undefined;
  part("view-heat").hidden = !hasHeat;
  part("view-heat").setAttribute("aria-pressed", state.heat);
  const photo = pictureOf(image);
  part("view-photo").replaceChildren(photo);
  if (image.link === undefined || image.photo === undefined || (hasHeat && state.heat)) return;
  const file = element("img", { alt: photo.alt });
  file.addEventListener("load", () => { if (photo.isConnected) photo.replaceWith(file); });
  if (new URL(image.link, location.href).protocol === "file:") file.src = image.link;
}

function step(by) {
  if (viewed + by < 0 || viewed + by >= shown.length) return;
  viewed += by;
  showView();
  remember();
}

function closeView() {
  view.close();
}

view.addEventListener("close", () => {
  part("view-photo").replaceChildren();
  // The step back removes what opening added to the history.
  if (history.state?.isView) history.back();
  else remember();
  focusCard(viewed);
});

view.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const actions = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => step(-viewed),
    End: () => step(shown.length - 1 - viewed), h: toggleHeat };
  const action = actions[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
});

function toggleHeat() {
  if (!haveHeat) return;
  state = { ...state, heat: !state.heat };
  if (view.open) showPhoto(images[shown[viewed]]);
  showControls();
  redraw();
  remember();
}

part("previous").addEventListener("click", () => step(-1));
part("next").addEventListener("click", () => step(1));
part("close").addEventListener("click", closeView);
part("view-heat").addEventListener("click", toggleHeat);
view.addEventListener("click", (event) => { if (event.target === view) closeView(); });
