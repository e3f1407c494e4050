// Makes a page of many images out of a page of few, with other names, orders of labels and scores.
// Usage: node many.mjs PAGE N_IMAGES > MANY

import { readFileSync } from "node:fs";

const [file, n] = process.argv.slice(2);
const lines = readFileSync(file, "utf8").split("\n");
const isImage = (line) => line.startsWith('<script type="application/json" class="image">');
const images = lines.filter(isImage).map((line) => JSON.parse(line.slice(line.indexOf("{"), line.lastIndexOf("}") + 1)));
const photos = images.filter((image) => image.photo !== undefined);
const failed = images.find((image) => image.error !== undefined);
// A small generator, so that each run makes the same page (Lehmer, Park and Miller 1988).
let seed = 1;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;

function variant(i) {
  const name = `photos/day ${i % 31}/img-${i}.jpg`;
  if (i % 50 === 7) return { ...failed, name };
  const image = photos[i % photos.length];
  const shares = image.labels.map(() => random() ** 8);
  const sum = shares.reduce((a, b) => a + b);
  const ranked = image.labels.map((label, j) => [label, shares[j] / sum]).sort((a, b) => b[1] - a[1]);
  return { ...image, name, labels: ranked.map(([label]) => label), scores: ranked.map(([, share]) => Math.fround(share)) };
}

const write = (line) => process.stdout.write(`${line}\n`);
lines.slice(0, lines.findIndex(isImage)).forEach(write);
for (let i = 0; i < Number(n); i++) {
  write(`<script type="application/json" class="image">${JSON.stringify(variant(i)).replaceAll("<", "\\u003c")}</script>`);
}
lines.slice(lines.findLastIndex(isImage) + 1).forEach(write);
