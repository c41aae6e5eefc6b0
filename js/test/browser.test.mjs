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

/** Run a function in a page that has `Reranker`, served with these headers; `missing` files are not there. */
async function inPage(headers, call, argument, { path = "", missing } = {}) {
  const server = await serveFolder(folder, headers);
  const page = await browser.newPage();
  try {
    if (missing) await page.route(missing, (route) => route.fulfill({ status: 404 }));
    await page.goto(server.url + path);
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

const open = (place, options) =>
  Reranker.open(place, options).then(({ description }) => description.threads, (error) => [error.name, error.message]); // prettier-ignore

test("a place is what `fetch` takes it for, a query in its URL stays, and threads are those that there are", async () => {
  mkdirSync(join(folder, "app"));
  const page = readFileSync(join(folder, "index.html"), "utf8").replace("<title>", '<base href="/" /><title>');
  writeFileSync(join(folder, "app", "index.html"), page);
  assert.equal(await inPage({}, open, "model", { path: "app/" }), 1);
  const [threads, files] = await inPage({}, async () => {
    const { description } = await Reranker.open("model?version=2#here", { threads: 4 });
    const files = performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.includes("/model/"));
    return [description.threads, files];
  });
  assert.equal(threads, 1); // a page that is not isolated has one
  assert.equal(files.length, 4);
  for (const file of files) assert.match(file, /\/model\/[\w.]+\?version=2$/);
});

test("a worker without a URL of its own needs the whole URL of a bundle", async () => {
  const [error, opened] = await inPage({}, async () => {
    const answers = [];
    for (const place of ["model", new URL("model", location.href).href]) {
      const code = `import "${new URL("harness.js", location.href)}";
        Reranker.open("${place}").then(() => postMessage("opened"), (error) => postMessage(error.message));`;
      const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
      answers.push(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data))));
    }
    return answers;
  });
  assert.match(error, /^model is no URL, and none relative to blob:.*; give the whole URL of the bundle\.$/);
  assert.equal(opened, "opened");
});

test("where WebAssembly can't be started, the error says what it needs, and a strict page may have it", async () => {
  const policy = (script) => ({ "content-security-policy": `default-src 'self'; script-src 'self' ${script}` });
  const failures = [
    await inPage({}, open, "model", { missing: "**/*.wasm" }),
    await inPage({}, open, "model", { missing: "**/ort-wasm*.mjs" }),
    await inPage(policy(""), open, "model"),
  ];
  for (const [name, message] of failures) {
    assert.equal(name, "ProviderError", message);
    assert.match(message, /^ONNX Runtime can't be started \(.*put its \.mjs and \.wasm files beside your script, and allow 'wasm-unsafe-eval'/s);
  }
  assert.equal(await inPage({ ...ISOLATED, ...policy("'wasm-unsafe-eval'") }, (place) => Reranker.open(place, { threads: 2 }).then(
    async (reranker) => (await reranker.verify()).passed && reranker.description.threads), "model"), 2); // prettier-ignore
});

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
