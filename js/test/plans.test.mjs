// The same plans as the Python runtime, step for step.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { plan } from "../dist/runtime/plan.js";

const vectors = JSON.parse(readFileSync(new URL("data/plans.json", import.meta.url), "utf8"));

test("plans are those of the Python runtime", () => {
  for (const { prompts, known, budgets, steps } of vectors) {
    const arrays = (lists) => lists.map((ids) => Int32Array.from(ids));
    assert.deepEqual(plan(arrays(prompts), arrays(known), budgets), steps);
  }
});

test("many prompts take no square of the time of few", () => {
  // 12,000 queries of five documents each.
  const prompts = Array.from({ length: 60_000 }, (_, index) => {
    const query = Math.floor(index / 5);
    return Int32Array.from([...new Array(20).fill(1), ...new Array(80).fill(2 + query), 1, index]);
  });
  const start = performance.now();
  const steps = plan(prompts, [new Int32Array(0)], { tokens: 384, chunk: 256, workers: 1 });
  assert.ok(performance.now() - start < 15_000); // half a minute, where it was the square; else half a second
  const scored = steps.flatMap((step) => (step.kind === "score" ? step.prompts : []));
  assert.deepEqual(scored.sort((a, b) => a - b), [...prompts.keys()]);
});
