// The same scores in Chromium, with one thread and with two; other providers and altered bundles are refused there too.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./chromium.mjs";
import { writePage } from "./harness.mjs";
import { serveFolder } from "./server.mjs";
import { DEFAULT_MODEL, largestDifference, vectors } from "./setup.mjs";

const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

let folder, browser;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "browser-"));
  await writePage(folder);
  cpSync(DEFAULT_MODEL, join(folder, "model"), { recursive: true });
  mkdirSync(join(folder, "altered"));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

/** Run a function in a page that has `Reranker`, served with or without the headers that threads need. */
async function inPage(headers, call, argument) {
  const server = await serveFolder(folder, headers);
  const page = await browser.newPage();
  try {
    await page.goto(server.url);
    await page.waitForFunction(() => "Reranker" in globalThis);
    return await page.evaluate(call, argument);
  } finally {
    await page.close();
    server.close();
  }
}

for (const [threads, headers] of [[1, {}], [2, ISOLATED]]) {
  test(`conformance vectors and Python's scores, ${threads} thread${threads > 1 ? "s" : ""}`, async () => {
    const groups = vectors.groups.map(({ query, documents }) => [query, documents]);
    const found = await inPage(headers, async ([groups, threads]) => {
      const reranker = await Reranker.open("model", threads > 1 ? { threads } : {});
      const conformance = await reranker.verify();
      const pairs = await reranker.scorePairs(groups.map(([query]) => query), groups.map(([, documents]) => documents));
      const { threads: used } = reranker.description;
      await reranker.close();
      return { conformance, used, isolated: crossOriginIsolated, scores: pairs.map((group) => group.map(({ score }) => score)) };
    }, [groups, threads]); // prettier-ignore
    assert.equal(found.isolated, threads > 1);
    assert.equal(found.used, threads);
    assert.ok(found.conformance.largestDifference < found.conformance.tolerance, JSON.stringify(found.conformance));
    vectors.groups.forEach(({ scores }, index) => assert.ok(largestDifference(found.scores[index], scores) < 1e-5));
  });
}

test("WebGPU without an adapter is refused in one sentence", async () => {
  const error = await inPage({}, () => Reranker.open("model", { provider: "webgpu" }).then(() => "opened", (e) => [e.name, e.message]));
  assert.deepEqual(error, ["ProviderError", 'WebGPU can\'t be used: this browser has no adapter; take provider "cpu".']);
});

test("an altered bundle is refused", async () => {
  cpSync(DEFAULT_MODEL, join(folder, "altered"), { recursive: true });
  const file = join(folder, "altered", "model.onnx.data");
  const bytes = readFileSync(file);
  bytes[4321] ^= 16;
  writeFileSync(file, bytes);
  const error = await inPage({}, () => Reranker.open("altered").then(() => "opened", (e) => [e.name, e.message]));
  assert.equal(error[0], "BundleError");
  assert.match(error[1], /altered\/model\.onnx\.data was altered: its sha256 is not the manifest's/);
  const none = await inPage({}, () => Reranker.open("nowhere").catch((e) => e.message));
  assert.match(none, /nowhere\/bundle\.json can't be fetched \(status 404\)/);
});
