// `node verify.mjs BUNDLE ...`: how far bundles are from their conformance vectors in Node, and in Chromium's WebAssembly.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { Reranker } from "./dist/index.js";
import { launch } from "./test/chromium.mjs";
import { writePage } from "./test/harness.mjs";
import { serveFolder } from "./test/server.mjs";

const bundles = process.argv.slice(2).map((path) => resolve(path));
const folder = mkdtempSync(join(tmpdir(), "verify-"));
await writePage(folder);
const [browser, server] = [await launch(), await serveFolder(folder)];
let failed = !bundles.length;
console.log("| bundle | Node | WebAssembly, one thread | allowed |\n|---|---|---|---|");
for (const bundle of bundles) {
  const reranker = await Reranker.open(bundle, { threads: 1 });
  const there = await reranker.verify();
  await reranker.close();
  cpSync(bundle, join(folder, "model"), { recursive: true });
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => "Reranker" in globalThis);
  const web = await page.evaluate(async () => (await Reranker.open("model")).verify());
  await page.close();
  rmSync(join(folder, "model"), { recursive: true });
  failed ||= !there.passed || !web.passed;
  const [inNode, inPage] = [there, web].map(({ largestDifference }) => largestDifference.toExponential(1));
  console.log(`| ${basename(bundle)} | ${inNode} | ${inPage} | ${web.tolerance.toExponential(0)} |`);
}
await browser.close();
server.close();
rmSync(folder, { recursive: true });
process.exitCode = failed ? 1 : 0;
