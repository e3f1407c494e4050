// Connects the controls, and shows what the address says.

part("heat").hidden = !haveHeat;
part("top-row").hidden = !canRank;
part("find-row").hidden = labels.length <= 20;

part("name").addEventListener("input", () => change({ name: part("name").value }));
part("order").addEventListener("input", () => change({ order: part("order").value }));
part("least").addEventListener("input", () => change({ least: Number(part("least").value) }));
part("top").addEventListener("input", () => change({ top: part("top").checked }));
part("choices").addEventListener("input", (event) => {
  change({ label: choices.find((choice) => choice.input === event.target).value });
});
part("find").addEventListener("input", () => { listChoices(); showCounts(); });
part("reset").addEventListener("click", () => {
  part("find").value = "";
  state = { ...unfiltered, heat: state.heat };
  listChoices();
  update();
  remember();
});
part("heat").addEventListener("click", toggleHeat);
part("sidebar").addEventListener("submit", (event) => event.preventDefault());
part("filters").addEventListener("click", () => {
  const isOpen = part("sidebar").classList.toggle("opened");
  part("filters").setAttribute("aria-expanded", isOpen);
  draw();
});

part("copy").addEventListener("click", async () => {
  const paths = shown.map((index) => images[index].name).join("\n");
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(paths);
  } catch {
    isCopied = copyFromField(paths);
  }
  part("count").textContent = isCopied ? `${inWords(shown.length)} paths copied` : "the browser refused to copy";
  setTimeout(() => { part("count").textContent = countText(); }, 2500);
});

// For browsers in which a page from disk may not use the clipboard.
function copyFromField(text) {
  const field = element("textarea", { value: text });
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}

let isDrawing = false;
function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}
addEventListener("scroll", drawSoon, { passive: true });
let lastWidth = innerWidth;
addEventListener("resize", () => {
  // On phones, scrolling changes the height when it hides the address bar.
  if (innerWidth === lastWidth) return drawSoon();
  lastWidth = innerWidth;
  measure();
  redraw();
});

// Shows what the address says: at the start, and after a step back or forward.
function showAddress(heat) {
  const open = openInAddress();
  const before = JSON.stringify(state);
  state = fromAddress();
  state.heat = heat ?? state.heat;
  if (list.childElementCount === 0 || JSON.stringify(state) !== before) update();
  if (open >= 0) viewed = Math.max(0, shown.indexOf(open));
  if (open >= 0 && shown.includes(open)) showView();
  else if (view.open) view.close();
}
// Heat maps stay as they were switched in the large view.
addEventListener("popstate", () => showAddress(state.heat));

// A step back must not scroll: the large view returns to the image that was shown last.
history.scrollRestoration = "manual";
listChoices();
measure();
showAddress();
