// What is kept of prefixes for the next call.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PrefixCache, PrefixKV } from "../dist/runtime/kv-cache.js";
import { promptLogits } from "../dist/runtime/scoring.js";

/** A prefix of some tokens with one layer, one head and one channel. */
function prefixOf(ids) {
  return new PrefixKV(Int32Array.from(ids), new Float32Array(2 * ids.length), [1, 2, 1, ids.length, 1]);
}

/** Stands for a graph that shares prefixes: it notes how many tokens its runs had. */
class CountingSession {
  provider = "cpu";
  prefix = prefixOf([]);
  tokens = 0;

  async extend(prefix, ids) {
    this.tokens += ids.length - prefix.ids.length;
    return prefixOf([...ids]);
  }

  async logits({ shape: [rows, length] }) {
    this.tokens += rows * length;
    return new Float32Array(2 * rows);
  }
}

const numbers = (count) => Array.from({ length: count }, (_, index) => index);

test("a cache smaller than what prompts share keeps its first tokens, and the next call begins with them", async () => {
  const prompts = numbers(20).map((end) => Int32Array.from([...numbers(60), 70 + end]));
  for (const [room, first, second] of [[0, 80, 80], [20, 80, 60], [100, 80, 20]]) {
    const [cache, session] = [new PrefixCache(room), new CountingSession()];
    for (const tokens of [first, second]) {
      session.tokens = 0;
      await promptLogits(session, prompts, 0, 384, cache);
      assert.equal(session.tokens, tokens);
    }
    assert.deepEqual(cache.prefixes().map(({ ids }) => ids.length), room ? [Math.min(room, 60)] : []);
  }
});

test("the beginning of a kept prefix takes no room of its own", () => {
  const cache = new PrefixCache(100);
  for (const ids of [numbers(60), [7, 8, 9], numbers(40)]) cache.add(prefixOf(ids));
  assert.deepEqual(cache.prefixes().map(({ ids }) => ids.length), [60, 3]);
});
