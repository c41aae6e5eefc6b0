/** Prompts of token ids become scores: a plan is made, its steps are run, and results are put back in order. */

import { leftPad, type TokenIds } from "../prompt.js";
import { type PrefixCache, type PrefixKV } from "./kv-cache.js";
import { plan, type Step } from "./plan.js";
import type { Session } from "./session.js";

/** Tokens of one batch, padding included. Memory grows with it, and a CPU is no faster past a few hundred. */
export const TOKEN_BUDGETS = { cpu: 384, webgpu: 4096 };
/** A longer prompt, or prefix, is run in chunks, so that memory stays bounded. */
const CHUNKS = { cpu: 256, webgpu: 4096 };

/** The logits of "no" and "yes" of one prompt. */
export type Logits = readonly [number, number];

/**
 * Run whole prompts.
 *
 * @param padTokenId the id to pad with; it is masked, so any id of the vocabulary does.
 * @param tokenBudget the most tokens in one batch, padding included; a longer prompt runs alone.
 * @param cache prefixes of earlier calls, to begin with and to add to.
 * @param checkWanted called before every run; what it throws ends the work.
 * @returns the logits of each prompt, in the order given.
 */
export async function promptLogits(
  session: Session,
  prompts: readonly TokenIds[],
  padTokenId: number,
  tokenBudget: number,
  cache: PrefixCache,
  checkWanted: () => void = () => {},
): Promise<Logits[]> {
  const [distinct, places] = distinctOf(prompts); // equal prompts get equal scores, to the last bit, and are run once
  const budgets = { tokens: tokenBudget, chunk: Math.min(tokenBudget, CHUNKS[session.provider]), workers: 1 };
  const known = session.prefix ? [session.prefix, ...cache.prefixes()] : [];
  const ids = known.map((prefix) => prefix.ids);
  const execution = new Execution(session, distinct, padTokenId, known, cache);
  for (const step of plan(distinct, ids, budgets)) {
    checkWanted();
    await execution.run(step);
  }
  return places.map((place) => execution.logits[place]!);
}

/** Every prompt once, and where each of the given ones is among these. */
function distinctOf(prompts: readonly TokenIds[]): [TokenIds[], number[]] {
  const first = new Map<string, number>();
  const distinct: TokenIds[] = [];
  const places = prompts.map((prompt) => {
    const key = prompt.join();
    const place = first.get(key) ?? distinct.push(prompt) - 1;
    first.set(key, place);
    return place;
  });
  return [distinct, places];
}

/** One plan, while it is run. */
class Execution {
  readonly logits: Logits[];
  private readonly prefixes: Map<number, PrefixKV>;

  constructor(
    private readonly session: Session,
    private readonly prompts: readonly TokenIds[],
    private readonly padTokenId: number,
    known: readonly PrefixKV[],
    private readonly cache: PrefixCache,
  ) {
    this.logits = new Array<Logits>(prompts.length);
    this.prefixes = new Map(known.entries());
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case "begin":
        this.prefixes.set(step.prefix, this.prefix(step.source).first(step.length));
        break;
      case "extend": {
        const ids = this.prompts[step.prompt]!.subarray(0, step.stop);
        this.prefixes.set(step.prefix, await this.session.extend(this.prefix(step.source), ids));
        break;
      }
      case "remember": {
        const prefix = this.prefix(step.prefix);
        this.cache.add(prefix.first(Math.min(prefix.ids.length, this.cache.maxTokens))); // as many as there is room for
        break;
      }
      case "score":
        await this.score(step.prompts, step.chunks, step.prefix === null ? null : this.prefix(step.prefix));
        break;
      case "free":
        this.prefixes.delete(step.prefix);
    }
  }

  private prefix(number: number): PrefixKV {
    return this.prefixes.get(number)!;
  }

  private async score(rows: readonly number[], chunks: readonly number[], prefix: PrefixKV | null): Promise<void> {
    for (const stop of chunks) {
      prefix = await this.session.extend(prefix!, this.prompts[rows[0]!]!.subarray(0, stop)); // only after a prefix
    }
    const start = prefix?.ids.length ?? 0;
    const batch = leftPad(
      rows.map((row) => this.prompts[row]!.subarray(start)),
      this.padTokenId,
    );
    const logits = await this.session.logits(batch, prefix); // (batch, 2)
    rows.forEach((row, index) => (this.logits[row] = [logits[2 * index]!, logits[2 * index + 1]!]));
  }
}

/** Softmax over (no, yes), the second part. */
export function probabilityOfYes([no, yes]: Logits): number {
  const small = Math.exp(-Math.abs(yes - no)); // never exponentiates a positive number, so it can't overflow
  return (yes >= no ? 1 : small) / (1 + small);
}
