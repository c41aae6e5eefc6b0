/**
 * What to run, in which order, so that every prompt is scored and what prompts share is computed once.
 *
 * A plan is a list of steps over numbered prefixes. It is pure: token ids and budgets in, steps out, nothing is run. It
 * is the plan of the Python package's `runtime/plan.py`, step for step; `test/data/plans.json` holds both to it.
 *
 *     begin    prefix 5 is the first 40 tokens of prefix 0
 *     extend   prefix 6 is prefix 5 and the tokens of prompt 3 up to the 75th
 *     remember keep prefix 6 for later calls
 *     score    run prompts 3, 1 and 8 after prefix 6, as one left-padded batch
 *     free     nothing needs prefix 6 any more
 */

import type { TokenIds } from "../prompt.js";
import { commonLength, type PrefixNode, prefixTree } from "./prefix-tree.js";

/** A batch is not made smaller than this to have one for every worker: each batch reads all weights. */
const LEAST_TOKENS = 64;
/** How much of a prefix is worth keeping: prompt, task and a query. */
export const REMEMBERED_TOKENS = 128;

/** What a plan must keep to. */
export interface Budgets {
  /** The most tokens of one batch, padding included. Only a single prompt's tokens may be more. */
  tokens: number;
  /** The most tokens of a prefix, or of a lone prompt, that are run at a time. */
  chunk: number;
  /** How many batches run side by side. */
  workers: number;
}

export type Step =
  /** `prefix` is the first `length` tokens of the prefix `source`. */
  | { kind: "begin"; prefix: number; source: number; length: number }
  /** `prefix` is `source` followed by the tokens of `prompt` from where `source` ends to `stop`. */
  | { kind: "extend"; prefix: number; source: number; prompt: number; stop: number }
  /** `prefix` is worth keeping for later calls. */
  | { kind: "remember"; prefix: number }
  /**
   * Score `prompts` as one batch, whose rows all begin with `prefix` (null: nothing is shared). `chunks` are the places
   * where a single long prompt's tokens are cut: each part but the last extends the prefix.
   */
  | { kind: "score"; prefix: number | null; prompts: number[]; chunks: number[] }
  /** No later step needs `prefix`. */
  | { kind: "free"; prefix: number };

/**
 * Plan the runs that score every prompt once.
 *
 * @param prompts token ids of each, all different.
 * @param known the prefixes whose keys and values exist already; these are prefixes 0, 1, ... of the plan. The first is
 * the bundle's own (it may be empty), whose tokens are never taken from elsewhere. Without any, nothing is shared.
 */
export function plan(prompts: readonly TokenIds[], known: readonly TokenIds[], budgets: Budgets): Step[] {
  if (!known.length) return [...batches(prompts, [...prompts.keys()], null, 0, budgets, budgets.workers)];
  return [...new Planner(prompts, known, budgets).steps()];
}

/** Walks the prefix tree depth first, one prefix after the other, and counts who still needs each. */
class Planner {
  private readonly lengths: number[]; // of every prefix, by its number
  private remembered: { prefix: number; ids: TokenIds } | undefined; // the prefix that this plan remembered last

  constructor(
    private readonly prompts: readonly TokenIds[],
    private readonly known: readonly TokenIds[],
    private readonly budgets: Budgets,
  ) {
    this.lengths = known.map((ids) => ids.length);
  }

  *steps(): Generator<Step> {
    const pending: [PrefixNode, number | null][] = this.roots().map((root) => [root, null]);
    const waiting = new Map<number, number>(); // how many pending nodes continue a prefix
    for (let next = pending.pop(); next; next = pending.pop()) {
      const [node, parent] = next;
      const first = node.firstPrompt();
      let prefix: number;
      let continued: number | null = null;
      if (node.stop > this.ownStart(first)) {
        prefix = continued = yield* this.prefixOf(first, node.stop, parent);
      } else {
        prefix = this.next(node.stop);
        yield { kind: "begin", prefix, source: 0, length: node.stop }; // a root that adds nothing
      }
      if (parent !== null) {
        waiting.set(parent, waiting.get(parent)! - 1);
        if (!waiting.get(parent)) yield { kind: "free", prefix: parent };
      }
      // The largest comes last, when no other node waits for this one's prefix. So no more prefixes are in memory at a
      // time than the prompts can be halved.
      const children = [...node.children].sort((a, b) => b.size - a.size);
      for (const child of children) pending.push([child, continued]);
      // The other workers take the next groups. Where none follow, this one is shared out among them.
      const workers = pending.length ? 1 : this.budgets.workers;
      yield* batches(this.prompts, node.prompts, prefix, node.stop, this.budgets, workers);
      if (continued !== null && node.children.length) waiting.set(continued, node.children.length);
      else yield { kind: "free", prefix };
    }
    if (this.remembered) yield { kind: "free", prefix: this.remembered.prefix };
  }

  /** A tree for each length of the bundle's prefix that prompts agree with, the shortest first. */
  private roots(): PrefixNode[] {
    const groups = new Map<number, number[]>();
    this.prompts.forEach((_, index) => {
      const start = this.ownStart(index);
      const group = groups.get(start);
      if (group) group.push(index);
      else groups.set(start, [index]);
    });
    const starts = [...groups.keys()].sort((a, b) => a - b);
    return starts.map((start) => prefixTree(this.prompts, groups.get(start)!, start));
  }

  /** Each prompt takes all of the bundle's prefix that it agrees with, whatever it shares with other prompts. */
  private ownStart(prompt: number): number {
    return commonLength(this.known[0]!, this.prompts[prompt]!.subarray(0, -1));
  }

  /** The steps that make the first `stop` tokens of a prompt a prefix; returns its number. */
  private *prefixOf(prompt: number, stop: number, parent: number | null): Generator<Step, number> {
    const ids = this.prompts[prompt]!.subarray(0, stop);
    const begun = parent === null;
    const base = parent ?? (yield* this.begin(ids));
    if (this.lengths[base] === stop) {
      yield* this.remember(base, ids);
      return base;
    }
    let source = base;
    for (const end of chunkEnds(this.lengths[base]!, stop, this.budgets.chunk)) {
      const prefix = this.next(end);
      yield { kind: "extend", prefix, source, prompt, stop: end };
      if (source !== base || begun) yield { kind: "free", prefix: source };
      if (begun && source === base) yield* this.remember(prefix, ids.subarray(0, end));
      source = prefix;
    }
    return source;
  }

  /** Begin with what agrees longest: the bundle's prefix, one known from before, or the last remembered one. */
  private *begin(ids: TokenIds): Generator<Step, number> {
    let source = 0;
    let length = commonLength(this.known[0]!, ids);
    const others = this.known.map((tokens, prefix) => ({ prefix, ids: tokens }));
    for (const other of this.remembered ? [...others, this.remembered] : others) {
      const agreed = commonLength(other.ids, ids);
      if (agreed > length) [source, length] = [other.prefix, agreed];
    }
    const prefix = this.next(length);
    yield { kind: "begin", prefix, source, length };
    return prefix;
  }

  private *remember(prefix: number, ids: TokenIds): Generator<Step> {
    const length = Math.min(ids.length, REMEMBERED_TOKENS);
    const kept = this.next(length);
    yield { kind: "begin", prefix: kept, source: prefix, length };
    yield { kind: "remember", prefix: kept };
    if (this.remembered) yield { kind: "free", prefix: this.remembered.prefix };
    this.remembered = { prefix: kept, ids: ids.subarray(0, length) };
  }

  private next(length: number): number {
    return this.lengths.push(length) - 1;
  }
}

/** Score the prompts `indices`, which share their first `start` tokens. */
function* batches(
  prompts: readonly TokenIds[],
  indices: readonly number[],
  prefix: number | null,
  start: number,
  budgets: Budgets,
  workers: number,
): Generator<Step> {
  const lengths = indices.map((index) => prompts[index]!.length - start);
  for (const batch of cutBatches(lengths, evenBudget(lengths, budgets.tokens, workers))) {
    const rows = batch.map((row) => indices[row]!);
    const alone = prefix !== null && rows.length === 1;
    const chunks = alone ? chunkEnds(start, prompts[rows[0]!]!.length, budgets.chunk).slice(0, -1) : [];
    yield { kind: "score", prefix, prompts: rows, chunks };
  }
}

/**
 * What to cut batches by, at most `most`, so that each worker gets as many batches of about one size.
 *
 * Three batches of 384 tokens keep two workers busy for two rounds, and one of them idle in the second. Four batches of
 * 288 tokens take two rounds too, which are shorter.
 */
function evenBudget(lengths: readonly number[], most: number, workers: number): number {
  const descending = [...lengths].sort((a, b) => b - a);
  const batches = [...endsOf(descending, most)].length;
  return Math.min(most, Math.max(LEAST_TOKENS, leastBudget(descending, Math.ceil(batches / workers) * workers)));
}

/** The least budget by which `cutBatches` makes at most so many batches: then the largest of them is smallest. */
function leastBudget(descending: readonly number[], batches: number): number {
  let [low, high] = [0, (descending.length + 1) * Math.max(1, descending[0] ?? 1)];
  while (low < high) {
    const budget = Math.floor((low + high) / 2);
    if ([...endsOf(descending, budget)].length <= batches) high = budget;
    else low = budget + 1;
  }
  return low;
}

/** Where the tokens from `start` to `stop` are cut into equal chunks of at most `most`; the last end is `stop`. */
function chunkEnds(start: number, stop: number, most: number): number[] {
  const length = Math.ceil((stop - start) / Math.ceil((stop - start) / most));
  const ends: number[] = [];
  for (let end = start + length; end < stop; end += length) ends.push(end);
  return [...ends, stop];
}

/** Cut indices into batches of similar lengths, longest first, so that a lack of memory shows at once. */
function* cutBatches(lengths: readonly number[], tokenBudget: number): Generator<number[]> {
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]!);
  let start = 0;
  for (const end of endsOf(order.map((index) => lengths[index]!), tokenBudget)) {
    yield order.slice(start, end);
    start = end;
  }
}

/** Where each batch of rows of these lengths ends; it has one row at least. */
function* endsOf(descending: readonly number[], budget: number): Generator<number> {
  for (let end = 0; end < descending.length; ) {
    end += Math.max(1, Math.floor(budget / Math.max(1, descending[end]!)));
    yield end;
  }
}
