// Bundles that are missing, damaged or altered are refused, from a folder and over http.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Reranker } from "../dist/index.js";
import { readNpz } from "../dist/bundle/npz.js";
import { sealOf } from "../dist/bundle/manifest.js";
import { readPrefix, PrefixKV } from "../dist/runtime/kv-cache.js";
import { serveFolder } from "./server.mjs";
import { DEFAULT_MODEL } from "./setup.mjs";

const { files, pad_token_id: pad } = JSON.parse(readFileSync(join(DEFAULT_MODEL, "bundle.json"), "utf8"));

let folder, server;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "bundle-"));
  server = await serveFolder(folder);
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const rank = async (place) => {
  const reranker = await Reranker.open(place);
  const [best] = await reranker.rank("kidney stones", ["Gallstones", "Nephrolithiasis"]);
  await reranker.close();
  return best.document;
};

/** Change one file of a fresh copy, then open it both ways. */
const refusals = async (file, change) => {
  await cp(DEFAULT_MODEL, folder, { recursive: true });
  await change(join(folder, file));
  return Promise.all([folder, server.url].map((place) => rank(place).then(() => "opened", (error) => error)));
};
const flip = (at) => async (file) => {
  const bytes = await readFile(file);
  bytes[at] ^= 1;
  await writeFile(file, bytes);
};
const edit = (from, to, seal) => async (file) => {
  let text = (await readFile(file, "utf8")).replace(from, to);
  if (seal) text = text.replace(/"seal": "\w+"/, `"seal": "${await sealOf(text)}"`);
  await writeFile(file, text);
};

test("a bundle by its folder's path, as a file URL, and over http", async () => {
  await cp(DEFAULT_MODEL, folder, { recursive: true });
  for (const place of [folder, pathToFileURL(folder), server.url, new URL(server.url)]) {
    assert.equal(await rank(place), "Nephrolithiasis");
  }
});

test("files that lie packed are unpacked, and refused if they are cut off, something else, or altered", async () => {
  await cp(DEFAULT_MODEL, folder, { recursive: true });
  const content = await readFile(join(folder, "model.onnx.data"));
  const file = join(folder, "model.onnx.data.packed");
  const open = () => Reranker.open(server.url, { packed: ["model.onnx.data"] });
  await rm(join(folder, "model.onnx.data"));
  await writeFile(file, gzipSync(content));
  const reranker = await open();
  const [best] = await reranker.rank("kidney stones", ["Gallstones", "Nephrolithiasis"]);
  assert.equal(best.document, "Nephrolithiasis");
  await reranker.close();
  const altered = Buffer.from(content);
  altered[5_000_000] ^= 1;
  for (const [bytes, message] of [
    [gzipSync(content).subarray(0, 1_000_000), /model\.onnx\.data\.packed can't be unpacked, or was cut off/],
    [content, /can't be unpacked/],
    [gzipSync(altered), /model\.onnx\.data was altered: its sha256/],
    [gzipSync(Buffer.concat([content, content])), /more than \d+ bytes/],
  ]) {
    await writeFile(file, bytes);
    await assert.rejects(open, (error) => error.name === "BundleError" && message.test(error.message));
  }
  await rm(file);
});

test("what the network did is said", async () => {
  const cutting = createServer((_, response) => response.writeHead(200, { "content-length": 9 }).write("{", () => response.destroy()));
  await once(cutting.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${cutting.address().port}`;
  const cut = await Reranker.open(url).catch((error) => error);
  await new Promise((resolve) => cutting.close(resolve));
  assert.match(String(cut), /^BundleError: .*bundle\.json was cut off \(other side closed\); copy/);
  await assert.rejects(Reranker.open(url), { name: "BundleError", message: /can't be fetched \(connect ECONNREFUSED .*\); is the server up/ });
});

const cases = [
  ["one bit of the weights", "model.onnx.data", flip(5_000_000), /model\.onnx\.data was altered: its sha256/],
  ["one bit of the graph", "model.onnx", flip(900), /model\.onnx was altered/],
  ["one bit of the tokenizer", "tokenizer.json", flip(9000), /tokenizer\.json was altered/],
  ["too short", "tokenizer.json", (file) => writeFile(file, "{}"), new RegExp(`has 2 bytes where the manifest says ${files["tokenizer.json"].size}`)],
  ["too long", "model.onnx", async (file) => writeFile(file, await readFile(file).then((b) => Buffer.concat([b, b]))), new RegExp(`more than ${files["model.onnx"].size}|has ${2 * files["model.onnx"].size} bytes`)],
  ["a missing file", "model.onnx.data", rm, /model\.onnx\.data/],
  ["no manifest", "bundle.json", rm, /bundle\.json/],
  ["a manifest that is not JSON", "bundle.json", (file) => writeFile(file, "{"), /is not a manifest/],
  ["another task", "bundle.json", edit("relevant concepts", "opposite concepts"), /bundle\.json was altered: its seal/],
  ["another tolerance", "bundle.json", edit(/"tolerance": [^,]*/, '"tolerance": 0.5'), /was altered: its seal/],
  ["an older format", "bundle.json", edit('"format_version": 2', '"format_version": 1'), /has format version 1/],
  ["a number for a text", "bundle.json", edit(/"task": "[^"]*"/, '"task": 5'), /prompt\.task is 5 and not a string/],
  ["an unknown token, sealed again", "bundle.json", edit(`"pad_token_id": ${pad}`, `"pad_token_id": ${pad}0`, true), new RegExp(`has no token ${pad}0`)],
  ["a file elsewhere, sealed again", "bundle.json", edit('"model.onnx.data"', '"../model.onnx.data"', true), /outside the bundle/],
  ["other conformance texts", "conformance.json", flip(40), null],
];
for (const [what, file, change, message] of cases) {
  test(`refused: ${what}`, async () => {
    for (const error of await refusals(file, change)) {
      if (!message) assert.equal(error, "opened"); // only `verify` reads them
      else {
        assert.equal(error.name, "BundleError", String(error));
        assert.match(error.message, message);
      }
    }
  });
}

test("verify refuses altered conformance vectors", async () => {
  const reranker = await Reranker.open(folder);
  await assert.rejects(() => reranker.verify(), /conformance\.json was altered/);
  await reranker.close();
});

test("vectors of two ways to compute: all scores must be those of one of them", async () => {
  const right = JSON.parse(readFileSync(join(DEFAULT_MODEL, "conformance.json"), "utf8"));
  const wrong = right.map(() => [0, 9]);
  const found = async (change) => {
    await cp(DEFAULT_MODEL, folder, { recursive: true });
    const vectors = JSON.stringify(right.map((vector, index) => ({ ...vector, ...change(vector.logits, index) })));
    await writeFile(join(folder, "conformance.json"), vectors);
    const sha256 = createHash("sha256").update(vectors).digest("hex");
    const entry = `"conformance.json": {"size": ${Buffer.byteLength(vectors)}, "sha256": "${sha256}"}`;
    await edit(/"conformance\.json": \{[^}]*\}/, entry, true)(join(folder, "bundle.json"));
    const reranker = await Reranker.open(folder);
    try {
      return await reranker.verify();
    } finally {
      await reranker.close();
    }
  };
  const other = await found((logits, index) => ({ logits: wrong[index], float_activation_logits: logits }));
  assert.ok(other.passed && other.largestDifference < other.tolerance, JSON.stringify(other));
  const mixed = await found((logits, index) =>
    index % 2 ? { float_activation_logits: wrong[index] } : { logits: wrong[index], float_activation_logits: logits },
  );
  assert.ok(!mixed.passed && mixed.largestDifference > 0.1, JSON.stringify(mixed));
  const some = found((logits, index) => (index ? { float_activation_logits: logits } : {}));
  await assert.rejects(some, /only some vectors have float_activation_logits; export again/);
  const cut = found(() => ({ float_activation_logits: [1] }));
  await assert.rejects(cut, /vector 0 is not for the prompt/);
});

test("the prefix file of a quantized bundle", async () => {
  // numpy.savez of ids (2,) int32 and keys_values (1, 2, 1, 2, 2) float32, counted from 0; made by Python.
  const file = new Uint8Array(await readFile(new URL("data/prefix_kv.npz", import.meta.url)));
  assert.deepEqual(readNpz(file).get("keys_values").shape, [1, 2, 1, 2, 2]);
  const empty = (heads) => new PrefixKV(new Int32Array(0), new Float32Array(0), [1, 2, heads, 0, 2]);
  const prefix = readPrefix(file, empty(1), "prefix_kv.npz");
  assert.deepEqual([...prefix.ids], [7, 9]);
  assert.deepEqual([...prefix.first(1).values], [0, 1, 4, 5]);
  assert.deepEqual([...prefix.followedBy(Int32Array.of(7, 9, 3), Float32Array.of(90, 91, 92, 93)).values],
    [0, 1, 2, 3, 90, 91, 4, 5, 6, 7, 92, 93]); // prettier-ignore
  assert.throws(() => readPrefix(file, empty(2), "prefix_kv.npz"), /the graph takes 1,2,2,0,2/);
  assert.throws(() => readPrefix(file.slice(0, -30), empty(1), "prefix_kv.npz"), { name: "BundleError" });
});
