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
