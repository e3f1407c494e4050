// Tests the gallery in Chromium: each control on a few real images, then on 5,000 with timings.
// Usage: node gallery.mjs FOLDER [SCREENSHOTS]. FOLDER has page.html, heat.html, found.html, tags.html and many.html (`run`
// makes them).

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SIZES, THEMES, check, checkAccessible, checkEqual, checkFits, checkRequestsAreSeen, close, open, runTests, until } from "./browser.mjs";

const [folder, screenshots] = process.argv.slice(2);
// An interaction is finished before a person notices a delay (RAIL's 100 ms). Compared is the time that the page's thread
// computes; the time until the next frame is painted also depends on what else the machine does, and is printed.
const INTERACTION_MS = 100;

if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });
async function shoot(page, name) {
  if (screenshots !== undefined) await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

const blocks = /<script type="application\/json" (id="run"|class="image")>(.*)<\/script>/g;
function dataOf(file) {
  const found = [...readFileSync(join(folder, file), "utf8").matchAll(blocks)].map(([, kind, json]) => [kind, JSON.parse(json)]);
  const { labels } = found.find(([kind]) => kind === 'id="run"')[1];
  return { labels, images: found.filter(([kind]) => kind === 'class="image"').map(([, image]) => image) };
}

// Sets a control as a person would, and returns the time until the next frame is painted.
const set = (page, id, value) => page.evaluate((id, value) => {
  const control = document.getElementById(id);
  return timed(() => {
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
}, id, value);
const choose = (page, value) => page.evaluate((value) => {
  const control = document.querySelector(`#choices input[value="${value}"]`);
  return timed(() => {
    control.checked = true;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
}, String(value));
const click = (page, id) => page.evaluate((id) => timed(() => document.getElementById(id).click()), id);
const press = (page, key) => page.evaluate((key) => timed(() => {
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}), key);
const text = (page, id) => page.$eval(`#${id}`, (element) => element.textContent);
// The names of the images that pass the filters, in order. A function that the page runs sees what its script declares.
const shown = (page) => page.evaluate(() => shown.map((index) => images[index].name));

async function openGallery(browser, file, options) {
  const page = await open(browser, join(folder, file), options);
  await page.evaluate(() => {
    window.timed = async (act) => {
      const start = performance.now();
      act();
      document.body.getBoundingClientRect();
      await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
      return performance.now() - start;
    };
  });
  return page;
}

// What a page with these filters should show.
function expected({ images }, { label, top = true, least = 0, name = "" }) {
  return images.filter((image) => {
    if (image.error !== undefined || !image.name.toLowerCase().includes(name.toLowerCase())) return false;
    const rank = label === undefined ? 0 : (image.labels ?? []).indexOf(label);
    if (label === undefined && least === 0) return true;
    return rank >= 0 && !(label !== undefined && top && rank > 0) && image.scores[rank] * 100 >= least;
  }).map((image) => image.name);
}

async function testControls(browser) {
  const data = dataOf("page.html");
  const page = await openGallery(browser, "page.html");
  const names = ["photos/astronaut.jpg", "photos/cat.jpg", "photos/coffee.jpg"];
  checkEqual("the images in the given order, without the failed one", await shown(page), names);
  checkEqual("the count", await text(page, "count"), "3 of 4 images, 1 failed");
  check("names are escaped", await page.$("main b") === null);

  const drawn = await page.evaluate(async () => {
    const images = [...document.querySelectorAll("#images img")];
    await Promise.all(images.map((image) => image.decode()));
    const colour = (image) => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.drawImage(image, 0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).join();
    };
    return images.map((image) => ({ size: [image.naturalWidth, image.naturalHeight], colour: colour(image), alt: image.alt }));
  });
  checkEqual("thumbnails of 224 pixels", drawn.map((image) => image.size), Array(3).fill([224, 224]));
  check("they are not black, and different", new Set(drawn.map((image) => image.colour)).size === 3 && !drawn.some((image) => image.colour === "0,0,0"));
  check("each alt text has name and top label", drawn.every(({ alt }, i) => alt.startsWith(`${names[i].slice(7)}: A`) && alt.endsWith("%")));
  check("base names are visible", await page.$$eval(".base", (elements) => elements.map((one) => one.textContent).join()) === "astronaut.jpg,cat.jpg,coffee.jpg");

  for (const label of data.labels.keys()) {
    await choose(page, label);
    for (const top of [true, false]) {
      await set(page, "top", top);
      for (const least of [0, 1, 60, 100]) {
        await set(page, "least", least);
        checkEqual(`label ${label}, top ${top}, at least ${least}%`, await shown(page), expected(data, { label, top, least }));
      }
      await set(page, "least", 0);
    }
    await set(page, "top", true);
  }
  await click(page, "reset");
  await set(page, "least", 60);
  checkEqual("at least 60% of any label", await shown(page), expected(data, { least: 60 }));
  await click(page, "reset");

  const score = ({ scores }) => scores[0];
  const byScore = data.images.filter((image) => image.scores).sort((a, b) => score(b) - score(a)).map((image) => image.name);
  await set(page, "order", "high");
  checkEqual("highest first", await shown(page), byScore);
  await set(page, "order", "low");
  checkEqual("lowest first", await shown(page), [...byScore].reverse());
  await set(page, "name", "CAT");
  checkEqual("a part of a name is enough", await shown(page), ["photos/cat.jpg"]);
  await until(page, "the address has the state", () => location.hash === "#order=low&name=CAT");
  await click(page, "reset");
  await until(page, "the address has no state after a reset", () => location.hash === "");

  const share = await page.$eval(".bar", (bar) => bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width);
  check("a bar is as long as its score", Math.abs(share - data.images.find((image) => image.scores).scores[0]) < 0.02);
  await choose(page, "failed");
  checkEqual("failed images are behind a filter", await shown(page), ["photos/<b>broken.jpg"]);
  check("with the reason", (await page.$eval(".info .failed", (element) => element.textContent)).includes("text, not an image"));
  await checkAccessible(page, "failed images");
  await page.click(".open");
  await checkAccessible(page, "the large view of a failed image");
  await page.keyboard.press("Escape");
  await until(page, "the large view is closed", () => !location.hash.includes("image="));

  const links = await page.evaluate(() => images.map((image) => new URL(image.link, location.href).href));
  check("links lead to the files", links.every((link) => existsSync(fileURLToPath(link))));
  check("the page's policy forbids requests", await page.evaluate(() => fetch("http://asks.example/").then(() => false, () => true)));
  await close(page);
}

async function testState(browser) {
  const data = dataOf("page.html");
  const [label] = data.labels;
  const fields = new URLSearchParams({ label, top: "0", least: "1", order: "high" });
  const page = await openGallery(browser, "page.html", { hash: `#${fields}` });
  const all = expected(data, { label: 0, top: false, least: 1 });
  checkEqual("an address brings its state back", (await shown(page)).sort(), all.sort());
  checkEqual("in the controls too", await page.evaluate(() => ["top", "least", "order"].map((id) =>
    document.getElementById(id)[id === "top" ? "checked" : "value"])), [false, "1", "high"]);
  await close(page);
  const bad = await openGallery(browser, "page.html", { hash: "#label=%3Cb%3E&least=7000&order=x&image=99&show=y" });
  check("an address that makes no sense shows all", (await shown(bad)).length === 3);
  await close(bad);
}

async function testKeyboard(browser) {
  const page = await openGallery(browser, "page.html");
  await page.bringToFront();
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.querySelector("img")?.alt.split(":")[0] || document.activeElement.textContent);
  await page.keyboard.press("Tab");
  checkEqual("Tab first reaches the link to the images", await focused(), "Skip to the images");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  checkEqual("after which the first image is next", await focused(), "astronaut.jpg");
  await page.keyboard.press("ArrowRight");
  checkEqual("arrow keys move between images", await focused(), "cat.jpg");
  await page.keyboard.press("Enter");
  check("Enter opens the large view", await page.$eval("#view", (view) => view.open));
  checkEqual("with all scores", (await page.$$("#view-scores li")).length, 3);
  checkEqual("and its place", await text(page, "view-place"), "2 of 3");
  await until(page, "the file is shown", () => document.querySelector("#view-photo img")?.naturalWidth > 224);
  await page.keyboard.press("ArrowRight");
  checkEqual("an arrow key shows the next image", await text(page, "view-name"), "coffee.jpg");
  await until(page, "the address has its index", () => location.hash.endsWith("image=3"));
  await page.keyboard.press("ArrowRight");
  checkEqual("the last has no next", await text(page, "view-name"), "coffee.jpg");
  await page.keyboard.press("Escape");
  await until(page, "the large view is closed", () => !document.getElementById("view").open && !location.hash.includes("image="));
  checkEqual("Esc closes, and the focus is on the image seen last", await focused(), "coffee.jpg");
  await page.keyboard.press("Enter");
  await page.goBack();
  await until(page, "the large view is closed", () => !document.getElementById("view").open);
  const tree = JSON.stringify(await page.accessibility.snapshot({ interestingOnly: false }));
  for (const name of ["Skip to the images", "Copy paths", "Images", "Only where the chosen label is the top label"]) {
    check(`a screen reader finds "${name}"`, tree.includes(name));
  }
  await close(page);
}

async function testCopying(browser) {
  const page = await openGallery(browser, "page.html");
  await page.evaluate(() => {
    window.copied = null;
    Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { window.copied = text; } } });
  });
  await set(page, "name", "c");
  await choose(page, 1);
  await set(page, "top", false);
  await page.click("#copy");
  await until(page, "paths are copied", () => window.copied !== null);
  checkEqual("the paths shown are copied", await page.evaluate(() => window.copied), (await shown(page)).join("\n"));
  check("which is said", /^\d paths copied$/.test(await text(page, "count")));
  await close(page);
}

async function testHeatMaps(browser) {
  const page = await openGallery(browser, "heat.html");
  const sources = () => page.$$eval("#images img", (images) => images.map((image) => image.src));
  const photos = await sources();
  await click(page, "heat");
  check("the toggle shows other images", (await sources()).every((source, i) => source !== photos[i]));
  check("whose alt texts say so", await page.$$eval("#images img", (images) => images.every((image) => image.alt.endsWith(", heat map"))));
  await page.click(".open");
  await page.keyboard.press("h");
  checkEqual("h shows the photo in the large view", await page.$eval("#view-heat", (button) => button.getAttribute("aria-pressed")), "false");
  await page.keyboard.press("Escape");
  await until(page, "the large view is closed", () => !location.hash.includes("image="));
  checkEqual("and it stays so", await sources(), photos);
  await close(page);
  const plain = await openGallery(browser, "page.html");
  check("without heat maps there is no toggle", await plain.$eval("#heat", (button) => button.hidden));
  await close(plain);
}

async function testSearches(browser) {
  const page = await openGallery(browser, "found.html");
  checkEqual("each result of each search", await text(page, "count"), "6 of 6 images");
  checkEqual("searches can be chosen", (await page.$$("#choices input")).length, 3);
  check("a cosine is a number", /^0\.\d{4}$/.test(await page.$eval(".score", (score) => score.textContent)));
  check("there is no top label to ask for", await page.$eval("#top-row", (row) => row.hidden));
  checkEqual("what is gone is marked", await page.$$eval(".info .failed", (notes) => notes.map((note) => note.textContent)), ["file gone", "file gone"]);
  await close(page);
}

async function testTags(browser) {
  const data = dataOf("tags.html");
  const page = await openGallery(browser, "tags.html");
  checkEqual("the list is of tags", await page.$eval("legend", (legend) => legend.textContent), "Tag");
  check("there is no top tag to ask for", await page.$eval("#top-row", (row) => row.hidden));
  check("an image has several tags", data.images.some((image) => image.labels?.length > 2));
  check("names of tags are escaped", await page.$("#choices drink") === null);
  for (const label of data.labels.keys()) {
    await choose(page, label);
    for (const least of [0, 1, 60, 100]) {
      await set(page, "least", least);
      const those = expected(data, { label, top: false, least });
      checkEqual(`images with the tag ${data.labels[label]}, at least ${least}%`, await shown(page), those);
      const count = await page.$eval(`#choices li:has(input[value="${label}"]) .number`, (number) => Number(number.textContent));
      checkEqual("as many as the list says", count, those.length);
    }
    await set(page, "least", 0);
  }
  const above = data.labels.indexOf("animal");
  check("what is above a tag is a tag too", data.images.some((image) => (image.labels ?? []).indexOf(above) > 0));
  await click(page, "reset");
  await until(page, "the address has no state after a reset", () => location.hash === "");
  await page.click(".open");
  checkEqual("the large view has all tags", (await page.$$("#view-scores li")).length, data.images.find((image) => image.labels).labels.length);
  await close(page);
  const linked = await openGallery(browser, "tags.html", { hash: "#label=animal&top=1" });
  checkEqual("an address with a tag", await shown(linked), expected(data, { label: above, top: false }));
  await close(linked);
}

async function testSizesAndThemes(browser) {
  for (const [sizeName, size] of Object.entries(SIZES)) {
    for (const theme of THEMES) {
      const what = `${sizeName}, ${theme}`;
      for (const file of ["heat.html", "long.html", "found.html", "tags.html", "many.html"]) {
        const page = await openGallery(browser, file, { size, theme });
        await checkFits(page, what);
        await checkAccessible(page, `${file}, ${what}`);
        await shoot(page, `${file.slice(0, -5)}-${sizeName}-${theme}`);
        if (sizeName === "phone") {
          await page.click("#filters");
          await checkAccessible(page, `the filters of ${file}, ${what}`);
          await shoot(page, `${file.slice(0, -5)}-filters-${sizeName}-${theme}`);
          await page.click("#filters");
        }
        await page.click(".open");
        await checkAccessible(page, `the large view of ${file}, ${what}`);
        await shoot(page, `${file.slice(0, -5)}-view-${sizeName}-${theme}`);
        await close(page);
      }
    }
  }
}

// Two paragraphs with the same first sentences are written so that they can be told apart.
async function testLongLabels(browser) {
  const page = await openGallery(browser, "long.html");
  const written = await page.$$eval(".card", ([first]) => [...first.querySelectorAll(".label")].map((label) => label.textContent));
  checkEqual("as many different texts as labels", new Set(written).size, 3);
  const visible = await page.$$eval("#choices .label", (labels) => labels.map((label) => label.textContent.slice(0, 60)));
  checkEqual("also in the list of labels", new Set(visible).size, visible.length);
  await close(page);
}

const median = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];

async function testMany(browser) {
  const data = dataOf("many.html");
  const page = await openGallery(browser, "many.html");
  checkEqual("images", data.images.length, 5000);
  checkEqual("labels", data.labels.length, 100);
  const cards = () => page.$$eval(".card", (cards) => cards.length);
  check("only what is on the screen has elements", await cards() < 60);

  const sums = new Map();
  for (const image of data.images) if (image.labels) sums.set(image.labels[0], (sums.get(image.labels[0]) ?? 0) + 1);
  const counts = await page.$$eval("#choices li", (items) => items.map((item) => [item.querySelector("input").value, Number(item.querySelector(".number").textContent.replace(",", ""))]));
  for (const [value, count] of counts) {
    if (/^\d+$/.test(value)) checkEqual(`images whose top label is ${value}`, count, sums.get(Number(value)) ?? 0);
  }

  const devtools = await page.createCDPSession();
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
  const computed = async () => {
    const { metrics } = await devtools.send("Performance.getMetrics");
    return 1000 * metrics.find(({ name }) => name === "TaskDuration").value;
  };
  const times = {};
  const time = async (what, act) => {
    const before = await computed();
    const painted = await act();
    (times[what] ??= []).push({ painted, computed: await computed() - before });
  };
  for (let round = 0; round < 5; round++) {
    const label = 7 * round;
    await time("choose a label", () => choose(page, label));
    checkEqual("its images", await shown(page), expected(data, { label }));
    await time("not only as top label", () => set(page, "top", false));
    await time("at least 2%", () => set(page, "least", 2));
    checkEqual("images with at least 2%", await shown(page), expected(data, { label, top: false, least: 2 }));
    await time("highest first", () => set(page, "order", "high"));
    await time("reset the filters", () => click(page, "reset"));
    await time("order all by score", () => set(page, "order", "high"));
    await time("order all by name", () => set(page, "order", "name"));
    await time("type a part of a name", () => set(page, "name", `img-${round}`));
    checkEqual("names with the part", (await shown(page)).length, expected(data, { name: `img-${round}` }).length);
    await time("show failed images", () => choose(page, "failed"));
    await click(page, "reset");
    await time("scroll far down", () => page.evaluate((share) => timed(() => scrollTo(0, share * document.body.scrollHeight)), (round + 1) / 6));
    check("images are drawn there", await page.evaluate(() => document.elementFromPoint(innerWidth - 200, innerHeight / 2)?.closest(".card") !== null));
    await time("open the large view", () => page.evaluate(() => timed(() => document.querySelectorAll(".open")[12].click())));
    await time("next image", () => press(page, "ArrowRight"));
    await time("close the large view", () => click(page, "close"));
    await until(page, "the large view is closed", () => !location.hash.includes("image="));
    await time("copy all paths", () => click(page, "copy"));
    await page.evaluate(() => scrollTo(0, 0));
  }
  check("few elements after all this", await cards() < 80);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await until(page, "the last image is drawn", () => document.querySelector("#images > li:last-child")?.ariaPosInSet === document.querySelector("#images > li")?.ariaSetSize);
  await close(page);
  console.log("5,000 images with 100 labels, medians of 5 in ms: computed, and until painted");
  const medians = Object.entries(times).map(([what, all]) => [what, ...["computed", "painted"].map((kind) => median(all.map((one) => one[kind])))]);
  for (const [what, ...numbers] of medians) {
    console.log(`  ${what.padEnd(24)}${numbers.map((number) => number.toFixed(0).padStart(5)).join("")}`);
  }
  const slow = medians.filter(([, computed]) => computed >= INTERACTION_MS).map(([what]) => what);
  checkEqual(`interactions that take ${INTERACTION_MS} ms or more`, slow, []);
}

const testRequests = (browser) => checkRequestsAreSeen(browser, join(folder, "asks.html"));
await runTests([testRequests, testControls, testState, testKeyboard, testCopying, testHeatMaps, testSearches, testTags, testLongLabels,
  testSizesAndThemes, testMany]);
