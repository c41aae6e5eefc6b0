// The same scores as the Python package, in Node.
import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";
import { InferenceSession } from "onnxruntime-node";
import { Reranker } from "../dist/index.js";
import { DEFAULT_MODEL, largestDifference, vectors } from "./setup.mjs";

let reranker;
before(async () => (reranker = await Reranker.open(DEFAULT_MODEL, { threads: 1 })));
after(() => reranker.close());

test("the bundle's own conformance vectors", async () => {
  const found = await reranker.verify();
  assert.equal(found.prompts, 21);
  assert.ok(found.passed && found.largestDifference < found.tolerance, JSON.stringify(found));
});

test("scores, lengths and cuts of the Python package, one query after the other", async () => {
  for (const { query, documents, scores, tokens, truncated } of vectors.groups) {
    const [pairs] = await reranker.scorePairs([query], [documents]);
    assert.ok(largestDifference(pairs.map((pair) => pair.score), scores) < 1e-5);
    assert.deepEqual(pairs.map((pair) => pair.tokens), tokens);
    assert.deepEqual(pairs.map((pair) => pair.truncated), truncated);
  }
  assert.ok(vectors.groups.some(({ truncated }) => truncated.includes(true)));
});

test("all queries at once, and calls that run into each other", async () => {
  const groups = vectors.groups.slice(1);
  const pairs = await reranker.scorePairs(
    groups.map(({ query }) => query),
    groups.map(({ documents }) => documents),
  );
  const calls = await Promise.all(groups.slice(0, 9).map(({ query, documents }) => reranker.score(query, documents)));
  groups.forEach(({ scores }, index) => {
    assert.ok(largestDifference(pairs[index].map((pair) => pair.score), scores) < 1e-5);
    if (calls[index]) assert.ok(largestDifference(calls[index], scores) < 1e-5);
  });
});

test("a ranking", async () => {
  const documents = ["Gallstones", "Nephrolithiasis", "Renal cyst", "Nephrolithiasis"];
  const ranking = await reranker.rank("kidney stones", documents);
  assert.deepEqual(ranking.map(({ index }) => index), [1, 3, 2, 0]); // equal scores keep the order given
  assert.equal(ranking[0].document, "Nephrolithiasis");
  assert.equal(ranking[0].score, ranking[1].score);
  assert.equal((await reranker.rank("kidney stones", documents, { topK: 1 })).length, 1);
  assert.deepEqual(await reranker.rank("kidney stones", []), []);
  assert.deepEqual(await reranker.rankMany([], []), []);
});

test("a ranking's documents are those of the call, whatever becomes of the caller's lists, and any iterable will do", async () => {
  const documents = ["Gallstones", "Nephrolithiasis", "Renal cyst"];
  const expected = await reranker.rank("kidney stones", documents);
  const mine = [...documents];
  const pending = reranker.rankMany(["kidney stones"], [mine]);
  mine.length = 0;
  assert.deepEqual(await pending, [expected]);
  assert.deepEqual(await reranker.rankMany(["kidney stones"], [new Set(documents)]), [expected]);
});

test("a closed reranker says so, once the calls before have ended", async () => {
  const closed = await Reranker.open(DEFAULT_MODEL, { threads: 1 });
  const before = closed.score("kidney stones", ["Gallstones"]);
  const verifying = closed.verify();
  const closing = closed.close();
  for (const call of [() => closed.rank("pain", ["a"]), () => closed.verify()]) {
    await assert.rejects(call, /default\/ is closed; open another one/);
  }
  await closing;
  await closed.close();
  assert.equal((await before).length, 1);
  assert.ok((await verifying).passed);
});

test("a query that leaves its documents no token is warned of", async (context) => {
  const warn = context.mock.method(console, "warn", () => {});
  const [[first, second]] = await reranker.rankMany(["kidney ".repeat(9000), "pain"], [["a", "b"], ["a", "b"]]);
  assert.equal(first.score, second.score);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /^Query 0 takes all of the 8192 tokens/);
  await reranker.rank("pain", ["a ".repeat(9000)]); // a document that is cut is none
  assert.equal(warn.mock.callCount(), 1);
});

test("another task, other words around a pair, and a smaller budget", async () => {
  const documents = ["Gallstones", "Nephrolithiasis"];
  const plain = await reranker.score("kidney stones", documents);
  const { prompt } = reranker.description.manifest;
  const other = await Reranker.open(DEFAULT_MODEL, { prefix: `${prompt.prefix}well`, tokenBudget: 64, task: "Rank these." });
  const [[pair]] = await other.scorePairs(["kidney stones"], [documents]);
  const [[same]] = await reranker.scorePairs(["kidney stones"], [documents], { task: "Rank these." });
  assert.ok(pair.tokens > same.tokens); // the word is one token or more
  assert.notEqual((await other.score("kidney stones", documents))[0], plain[0]);
  await other.close();
});

test("control tokens in a document are text unless they are allowed", async () => {
  const document = "Gallstones<|im_end|>";
  const allowing = await Reranker.open(DEFAULT_MODEL, { allowSpecialTokens: true });
  const [[text]] = await reranker.scorePairs(["pain"], [[document]]);
  const [[control]] = await allowing.scorePairs(["pain"], [[document]]);
  assert.ok(control.tokens < text.tokens);
  await allowing.close();
});

test("a session is given back where its bundle can't be opened as asked", async (context) => {
  const { create } = InferenceSession;
  const released = context.mock.fn();
  context.mock.method(InferenceSession, "create", async (...given) => {
    const session = await create.apply(InferenceSession, given);
    context.mock.method(session, "release", released);
    return session;
  });
  await assert.rejects(Reranker.open(DEFAULT_MODEL, { maxLength: 12 }), /which prefix, task and suffix take alone/);
  assert.equal(released.mock.callCount(), 1);
});

test("no more threads than a container's quota allows", async (context) => {
  for (const [quota, threads] of [["50000 100000\n", 1], ["max 100000\n", availableParallelism()]]) {
    context.mock.method(fs, "readFileSync", () => quota);
    syncBuiltinESMExports();
    const opened = await Promise.all([undefined, 1e6].map((asked) => Reranker.open(DEFAULT_MODEL, { threads: asked })));
    context.mock.restoreAll();
    syncBuiltinESMExports();
    assert.deepEqual(opened.map((each) => each.description.threads), [threads, threads]);
    for (const each of opened) await each.close();
  }
});

test("null, which JSON has for what is not there, is no option", async () => {
  const documents = ["Gallstones", "Nephrolithiasis"];
  const expected = await reranker.rank("kidney stones", documents);
  for (const options of [null, { topK: null, task: null, truncate: null }, Object.create({ topK: 5 })]) {
    assert.deepEqual(await reranker.rank("kidney stones", documents, options), expected);
  }
});

test("bad input is refused in one sentence", async () => {
  const refused = [
    [() => reranker.rank("pain", ["a", null]), /Document 1 must be a string, not null/],
    [() => reranker.rank("pain", "a"), /must be a list of strings/],
    [() => reranker.rank(undefined, ["a"]), /The query must be a string/],
    [() => reranker.rank("pain", ["\ud800"]), /not valid Unicode/],
    [() => reranker.rank("pain", ["a"], { topK: 0 }), /topK must be a whole number from 1, not 0/],
    [() => reranker.rank("pain", ["a"], { topK: "1" }), /topK must be a number, not string/],
    [() => reranker.rank("pain", ["a"], { truncate: "false" }), /truncate must be a boolean, not string/],
    [() => reranker.rank("pain", ["a"], { top_k: 1 }), /There is no option top_k; the options here are task, truncate, signal, topK/],
    [() => reranker.rank("pain", ["a"], 1), /The options must be an object with task, truncate, signal, topK, not number/],
    [() => reranker.rank("pain", ["a"], { signal: new AbortController() }), /signal must be a signal of an AbortController, not object/],
    [() => reranker.score("pain", ["a"], { topK: 1 }), /There is no option topK/],
    [() => reranker.rankMany(["pain"], []), /1 queries but 0 lists/],
    [() => reranker.rankMany("ab", [["a"], ["b"]]), /The queries must be a list of strings, not one string/],
    [() => reranker.scorePairs(["pain"], null), /The documents of all queries must be a list of lists of strings, not null/],
    [() => reranker.rank("pain", ["a ".repeat(9000)], { truncate: false }), /Document 0 of query 0 does not fit 8192 tokens/],
    [() => Reranker.open(undefined), /The bundle's place must be a path or a URL, not undefined/],
    [() => Reranker.open(DEFAULT_MODEL, { model: "default" }), /There is no option model/],
    [() => Reranker.open(DEFAULT_MODEL, { packed: "model.onnx" }), /packed must be a list, not string/],
    [() => Reranker.open(DEFAULT_MODEL, { maxLength: "512" }), /maxLength must be a number, not string/],
    [() => Reranker.open(DEFAULT_MODEL, { maxLength: 100.5 }), /maxLength must be a whole number from 1, not 100.5/],
    [() => Reranker.open(DEFAULT_MODEL, { maxLength: 3 }), /give at least 4/],
    [() => Reranker.open(DEFAULT_MODEL, { maxLength: 12 }), /maxLength is 12, which prefix, task and suffix take alone/],
    [() => Reranker.open(DEFAULT_MODEL, { threads: 0 }), /threads must be/],
    [() => Reranker.open(DEFAULT_MODEL, { cachedTokens: -1 }), /cachedTokens must be a whole number from 0, not -1/],
    [() => Reranker.open(DEFAULT_MODEL, { provider: "cuda" }), /provider must be/],
    [() => Reranker.open(DEFAULT_MODEL, { provider: "webgpu" }), /In Node only/],
  ];
  for (const [call, message] of refused) await assert.rejects(call, { message });
});

test("an aborted call ends at once with its reason, is not run, and takes nothing from the calls beside it", async () => {
  const documents = Array.from({ length: 400 }, (_, index) => `pain in finger ${index}`);
  const expected = await reranker.score("sore finger", documents.slice(0, 5));
  const started = performance.now();
  await reranker.score("aching finger", documents);
  const whole = performance.now() - started;

  const controller = new AbortController();
  const { signal } = controller;
  const calls = [
    reranker.score("hurt finger", documents, { signal }), // is run first
    reranker.rank("burnt finger", documents, { signal }),
    reranker.score("sore finger", documents.slice(0, 5)),
  ];
  const settled = Promise.allSettled(calls);
  await new Promise((resolve) => setTimeout(resolve, whole / 20));
  controller.abort(new Error("typed on"));
  const aborted = performance.now();
  const [running, waiting, other] = await settled;
  assert.equal(running.reason.message, "typed on");
  assert.equal(waiting.reason.message, "typed on");
  assert.ok(largestDifference(other.value, expected) < 1e-5);
  assert.ok(performance.now() - aborted < whole, "what nobody waits for was run");
  await assert.rejects(reranker.rank("pain", ["a"], { signal }), { message: "typed on" });
  await assert.rejects(reranker.rank("pain", ["a"], { signal: AbortSignal.abort() }), { name: "AbortError" });
});
