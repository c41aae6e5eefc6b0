/**
 * What prompts have in common: which prefixes are worth computing once, for all prompts that start with them.
 *
 * Prompts are compared as token ids, because BPE may merge what the text keeps apart. Candidates of one query share
 * prompt, task and query, and all queries share prompt and task, so the prefixes form a tree.
 */

import type { TokenIds } from "../prompt.js";

/** What a run costs beyond its tokens, in tokens: it reads all weights. A node costs two runs, its own and its prompts'. */
export const RUN_COST = 32;

/** Tokens that several prompts share. */
export class PrefixNode {
  /** Indices of the prompts that share no further prefix. */
  readonly prompts: number[] = [];
  /** The prefixes that continue this one. */
  readonly children: PrefixNode[] = [];

  /**
   * @param stop where the shared tokens end, counted from the prompts' start; they begin where the parent's end.
   * @param size how many prompts start with them.
   */
  constructor(
    readonly stop: number,
    readonly size: number,
  ) {}

  /** Index of a prompt that starts with this prefix. */
  firstPrompt(): number {
    let node: PrefixNode = this;
    while (!node.prompts.length) node = node.children[0]!;
    return node.prompts[0]!;
  }
}

/**
 * The tree of prefixes worth sharing; every prompt keeps at least its last token to itself.
 *
 * @param prompts token ids of each. The tree does not depend on their order.
 * @param indices the prompts to look at.
 * @param start how many first tokens all of these share and have been run already.
 * @param runCost a node costs two runs, so it must save more than twice as many tokens.
 * @returns the root, which ends at `start`.
 */
export function prefixTree(
  prompts: readonly TokenIds[],
  indices: readonly number[],
  start = 0,
  runCost = RUN_COST,
): PrefixNode {
  const order = [...indices].sort((a, b) => compare(prompts[a]!, prompts[b]!));
  // Tokens in common with the prompt before.
  const shared = order.map((index, at) => (at ? sharedLength(prompts[order[at - 1]!]!, prompts[index]!) : 0));
  const root = new PrefixNode(start, order.length);
  // Ranges of `order`, each with the node that they are known to share.
  const pending: [number, number, PrefixNode][] = [[0, order.length, root]];
  for (let range = pending.pop(); range; range = pending.pop()) {
    const [first, end] = range;
    let node = range[2];
    if (end - first < 2) {
      if (first < end) node.prompts.push(order[first]!);
      continue;
    }
    const inner = shared.slice(first + 1, end);
    const stop = inner.reduce((least, length) => Math.min(least, length));
    if ((end - first - 1) * (stop - node.stop) > 2 * runCost) {
      const child = new PrefixNode(stop, end - first);
      node.children.push(child);
      node = child;
    }
    const cuts = [first, ...inner.flatMap((length, at) => (length === stop ? [first + 1 + at] : [])), end];
    for (let at = 1; at < cuts.length; at++) pending.push([cuts[at - 1]!, cuts[at]!, node]);
  }
  return root;
}

function compare(a: TokenIds, b: TokenIds): number {
  const length = commonLength(a, b);
  return length === a.length || length === b.length ? a.length - b.length : a[length]! - b[length]!;
}

/** How many tokens two prompts have in common at the start, at most all but one of either. */
function sharedLength(a: TokenIds, b: TokenIds): number {
  return commonLength(a.subarray(0, -1), b.subarray(0, -1));
}

/** Length of the longest common prefix. */
export function commonLength(a: TokenIds, b: TokenIds): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return at;
  return length;
}
