// Chromium for the tests: without network, with a record of what pages request, and with axe-core.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true } };
export const THEMES = ["light", "dark"];

export function check(what, isSo) {
  if (!isSo) throw new Error(what);
}

export function checkEqual(what, found, expected) {
  check(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`, JSON.stringify(found) === JSON.stringify(expected));
}

async function launch() {
  const path = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND"];
  return puppeteer.launch({ executablePath: path, args, protocolTimeout: 600_000 });
}

// Opens a file in a window of this size, with `asked`: the network addresses that the page requested.
export async function open(browser, file, { size = SIZES.desktop, theme = "light", hash = "" } = {}) {
  const page = await browser.newPage();
  page.asked = [];
  page.errors = [];
  page.on("request", (request) => { if (!/^(data|file|blob):/.test(request.url())) page.asked.push(request.url()); });
  page.on("pageerror", (error) => page.errors.push(error.message));
  await page.setViewport(size);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await page.goto(pathToFileURL(file) + hash, { timeout: 300_000 });
  return page;
}

// Waits until a condition holds in the page. (Puppeteer's own wait needs `eval`, which the pages' policy forbids.)
export async function until(page, what, condition) {
  const end = Date.now() + 30_000;
  // A page that loads itself again has no place for the condition for a moment.
  while (!await page.evaluate(condition).catch(() => false)) {
    check(`waited in vain until ${what}`, Date.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Closes a page that must have had no script error and must have requested nothing.
export async function close(page) {
  checkEqual("script errors", page.errors, []);
  checkEqual("network requests", page.asked, []);
  await page.close();
}

// Fails for what axe-core calls a violation of WCAG 2.2 AA or of its best practices.
export async function checkAccessible(page, what) {
  if (!await page.evaluate(() => "axe" in window)) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run({
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  check(`axe-core on ${what}: ${found.join("; ")}`, found.length === 0);
}

export async function checkFits(page, what) {
  const [needed, given] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(`${what} is ${needed} pixels wide in a window of ${given}`, needed <= given);
}

// The network is forbidden, and a page that requests something is recorded, so the absence of requests proves something.
export async function checkRequestsAreSeen(browser, file) {
  const page = await open(browser, file);
  check("a request is recorded", page.asked.some((url) => url.startsWith("http://asks.example/")));
  await page.close();
}

// Runs tests one after the other in one browser.
export async function runTests(tests) {
  const browser = await launch();
  try {
    for (const test of tests) {
      await test(browser);
      console.log(`${test.name}: ok`);
    }
  } finally {
    await browser.close();
  }
}
