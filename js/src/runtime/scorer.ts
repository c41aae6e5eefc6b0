/** One session that many callers share: calls that wait for it are run together, as if they were one. */

import type { TokenIds } from "../prompt.js";
import { PrefixCache } from "./kv-cache.js";
import { type Logits, promptLogits } from "./scoring.js";
import type { Session } from "./session.js";

/** So many batches' tokens of waiting calls are run together. More would only make the first of them wait longer. */
const BATCHES_TOGETHER = 32;

interface Call {
  prompts: readonly TokenIds[];
  tokens: number;
  signal: AbortSignal | undefined;
  resolve(logits: Logits[]): void;
  reject(reason: unknown): void;
}

export class Scorer {
  private readonly cache: PrefixCache;
  private waiting: Call[] = [];
  private running: Promise<void> | undefined;

  constructor(
    readonly session: Session,
    private readonly padTokenId: number,
    readonly tokenBudget: number,
    cachedTokens: number,
  ) {
    this.cache = new PrefixCache(cachedTokens);
  }

  /** The logits of "no" and "yes" of whole prompts; rejected with the signal's reason as soon as it is aborted. */
  async logits(prompts: readonly TokenIds[], signal?: AbortSignal): Promise<Logits[]> {
    const tokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
    let end = (): void => {};
    try {
      return await new Promise((resolve, reject) => {
        end = () => reject(signal!.reason);
        signal?.addEventListener("abort", end);
        this.waiting.push({ prompts, tokens, signal, resolve, reject });
        this.running ??= this.runAll();
      });
    } finally {
      signal?.removeEventListener("abort", end); // one signal may serve many calls
    }
  }

  /** Do something else with the session, when the calls before have ended; later ones wait for it. */
  async alone<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.running) await this.running;
    const done = work();
    this.running = done.then(
      () => this.runAll(),
      () => this.runAll(),
    );
    return done;
  }

  /** Give the session's memory back, when all calls have ended. */
  async close(): Promise<void> {
    while (this.running) await this.running;
    await this.session.release();
  }

  private async runAll(): Promise<void> {
    while (this.waiting.length) await this.run(this.take());
    this.running = undefined;
  }

  /** The calls that waited longest, as many as are worth running together. */
  private take(): Call[] {
    const most = this.tokenBudget * BATCHES_TOGETHER;
    let [taken, tokens] = [0, 0];
    while (taken < this.waiting.length && (!taken || tokens + this.waiting[taken]!.tokens <= most)) {
      tokens += this.waiting[taken++]!.tokens;
    }
    return this.waiting.splice(0, taken);
  }

  private async run(taken: readonly Call[]): Promise<void> {
    const calls = taken.filter(({ signal }) => !signal?.aborted);
    if (!calls.length) return;
    const checkWanted = (): void => {
      if (calls.every(({ signal }) => signal?.aborted)) throw calls[0]!.signal!.reason;
    };
    const prompts = calls.flatMap((call) => call.prompts);
    let logits: Logits[];
    try {
      logits = await promptLogits(this.session, prompts, this.padTokenId, this.tokenBudget, this.cache, checkWanted);
    } catch (failure) {
      if (calls.length === 1) calls[0]!.reject(failure);
      else for (const call of calls) await this.run([call]); // what is wrong with one call fails no other
      return;
    }
    let start = 0;
    for (const call of calls) call.resolve(logits.slice(start, (start += call.prompts.length)));
  }
}
