// Tests the reports of `eval` and `train` in Chromium.
// Usage: node report.mjs FOLDER [SCREENSHOTS]. FOLDER has zeroshot.html, retrieval.html, loss.html and running.html (`run` makes them).

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SIZES, THEMES, check, checkAccessible, checkEqual, checkFits, close, open, runTests, until } from "./browser.mjs";

const [folder, screenshots] = process.argv.slice(2);
if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });

async function testZeroshot(browser) {
  const page = await open(browser, join(folder, "zeroshot.html"));
  const facts = await page.$$eval(".facts dt", (terms) => terms.map((term) => term.textContent));
  checkEqual("the facts", facts, ["data", "model", "images", "classes", "prompts", "command", "version"]);
  const problem = await page.evaluate(async () => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    for (const image of all("img")) {
      image.loading = "eager";
      await image.decode();
      if (image.naturalWidth !== 224 || image.getBoundingClientRect().width < 50 || image.alt === "") return "an image is not shown";
    }
    if (all("img").length === 0) return "there are no images";
    const frame = document.querySelector(".chart").getBoundingClientRect();
    if (frame.width < 300 || frame.height < 100) return "the chart has no size";
    for (const part of all(".chart polyline, .chart path, .chart text")) {
      const box = part.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        return `a ${part.tagName} is outside the chart`;
      }
    }
    const matrix = all(".matrix tbody tr").map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent)));
    if (matrix.length < 2 || matrix.some((row) => row.length !== matrix.length)) return "the matrix is not square";
    const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
    const tables = all("table:not(.matrix)");
    const column = (table, i) => sum([...table.querySelectorAll("tbody tr")].map((row) => Number(row.children[i].textContent)));
    const bins = tables.find((table) => table.textContent.includes("mean probability"));
    const recalls = tables.at(-1);
    const notes = sum(all(".chart .note").map((note) => Number(note.textContent)));
    const counts = [sum(matrix.flat()), column(bins, 1), column(recalls, 1), notes];
    if (new Set(counts).size !== 1) return `matrix, bins, recalls and marks count ${counts} images`;
    return null;
  });
  check(problem, problem === null);
  await close(page);
}

async function testSizesAndThemes(browser) {
  for (const file of ["zeroshot.html", "retrieval.html", "loss.html", "running.html"]) {
    for (const [sizeName, size] of Object.entries(SIZES)) {
      for (const theme of THEMES) {
        const page = await open(browser, join(folder, file), { size, theme });
        const what = `${file}, ${sizeName}, ${theme}`;
        await checkFits(page, what);
        await checkAccessible(page, what);
        // Letters of a chart that is made smaller for a phone stay readable.
        const px = await page.$eval(".chart text", (text) => text.getBoundingClientRect().height);
        check(`letters are ${px} pixels high: ${what}`, px >= 10);
        const numbers = await page.$$eval("table:not(.matrix) tbody tr", (rows) => rows.map((row) => row.querySelector(".number"))
          .filter((number) => number !== null).map((number) => number.getBoundingClientRect().right));
        check(`the first numbers of a table end at ${Math.max(...numbers)} of ${size.width}: ${what}`, numbers.every((end) => end <= size.width));
        if (screenshots !== undefined) {
          await page.screenshot({ path: join(screenshots, `${file.slice(0, -5)}-${sizeName}-${theme}.png`), fullPage: true });
        }
        await close(page);
      }
    }
  }
}

async function testReloading(browser) {
  const file = join(folder, "running.html");
  const before = readFileSync(file, "utf8");
  const page = await open(browser, file);
  // The page's ten seconds are short in this test, but longer than a question to the page takes on a busy machine.
  await page.evaluateOnNewDocument(() => {
    const wait = setInterval;
    window.setInterval = (act) => wait(act, 250);
  });
  await page.reload();
  writeFileSync(file, before.replace("<h1>", "<h1>newer "));
  const isNewer = () => document.querySelector("h1")?.textContent.startsWith("newer ") ?? false;
  await until(page, "a page of a run shows what was drawn since", isNewer);
  await until(page, "the box can be unticked", () => {
    const box = document.querySelector("#reload input");
    if (box === null) return false;
    // A reload that had begun before the click ends after it: for half a second, no page came in its place.
    if (box.checked || window.still === undefined) window.still = Date.now();
    if (box.checked) box.click();
    return !box.checked && location.hash === "#still" && Date.now() - window.still > 500;
  });
  writeFileSync(file, before);
  await new Promise((resolve) => setTimeout(resolve, 500));
  check("unticked, it stays as it is", await page.evaluate(isNewer));
  await close(page);
  const done = await open(browser, join(folder, "loss.html"));
  check("a page of a finished run does not reload", await done.$("script") === null);
  await close(done);
}

await runTests([testZeroshot, testSizesAndThemes, testReloading]);
