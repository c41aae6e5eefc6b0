// `make bench-js`: what ranking costs in Node and in the page. Needs what `make test-js` builds.
import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Reranker } from "./dist/index.js";
import { launch } from "./test/chromium.mjs";
import { serveFolder } from "./test/server.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BUILT = join(ROOT, "build", "web");
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const REPEATS = 30;

const lines = readFileSync(join(ROOT, "examples", "terms.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
const { candidates } = lines[0];
const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
const show = (what, times) => console.log(`| ${what} | ${median(times).toFixed(1)} | ${Math.min(...times).toFixed(1)} |`);

console.log(`${candidates.length} candidates, a new query each time; load of the machine ${loadavg()[0].toFixed(1)}\n`);
console.log("| | ms, median | least |\n|---|---|---|");
for (const threads of [1, 2]) {
  const reranker = await Reranker.open(join(ROOT, "models", "default"), { threads });
  const times = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now();
    await reranker.rank(`${lines[repeat % lines.length].query} ${repeat}`, candidates);
    times.push(performance.now() - start);
  }
  show(`Node, ${threads} thread${threads > 1 ? "s" : ""}`, times.slice(3));
  await reranker.close();
}

const browser = await launch();
for (const [what, headers] of [["one thread", {}], ["as many threads as CPUs", ISOLATED]]) {
  const server = await serveFolder(BUILT, headers);
  const context = await browser.newContext({ serviceWorkers: "block" }); // each page a first visit
  const first = [];
  let page;
  for (let visit = 0; visit < 3; visit++) {
    await page?.close();
    page = await context.newPage();
    const start = performance.now();
    await page.goto(server.url, { waitUntil: "commit" });
    await page.locator("#ranking li").first().waitFor();
    first.push(performance.now() - start);
  }
  const times = await page.evaluate(rankOften, [candidates.join("\n"), REPEATS]);
  show(`page, ${what}`, times.slice(3));
  show(`page, ${what}: from nothing to the first ranking`, first);
  await context.close();
  server.close();
}
await browser.close();

const files = readdirSync(BUILT, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const contents = files.map((entry) => readFileSync(join(entry.parentPath, entry.name)));
const megabytes = (sizes) => (sizes.reduce((sum, size) => sum + size, 0) / 1e6).toFixed(1);
console.log(`\nthe page's files: ${megabytes(contents.map((file) => file.length))} MB, ` +
  `${megabytes(contents.map((file) => gzipSync(file, { level: 9 }).length))} MB with gzip`); // prettier-ignore

/** In the page: type a new query, wait for its ranking, and take the time that its worker says. */
async function rankOften([candidates, repeats]) {
  const [term, list] = [document.getElementById("term"), document.getElementById("candidates")];
  list.value = candidates;
  const times = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    delete document.body.dataset.milliseconds;
    term.value = `kidney stones ${repeat}`;
    document.getElementById("input").requestSubmit();
    while (!document.body.dataset.milliseconds) await new Promise((resolve) => setTimeout(resolve, 5));
    times.push(Number(document.body.dataset.milliseconds));
  }
  return times;
}
