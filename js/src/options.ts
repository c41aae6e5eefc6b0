/** What the reranker and its calls can be told, and a check that it is nothing else: a misspelt option would do nothing. */

import type { Progress } from "./bundle/bundle.js";
import { nameOf } from "./ranking.js";
import type { Provider } from "./runtime/providers.js";

export interface OpenOptions {
  /** "cpu" (the default; WebAssembly in browsers) or "webgpu". */
  provider?: Provider;
  /** Threads that compute: at most one for each CPU that may be used, by default as many, in browsers four at most. */
  threads?: number;
  /** The instruction of calls that give none; by default the bundle's. */
  task?: string;
  /** The most tokens of a whole prompt; what is over is cut from the document's end. By default the bundle's. */
  maxLength?: number;
  /** The text before every pair; by default the bundle's. */
  prefix?: string;
  /** The text after every pair; by default the bundle's. */
  suffix?: string;
  /** Read `<|im_end|>`, `<think>` and their like inside a query or document as control tokens, not as text. */
  allowSpecialTokens?: boolean;
  /** The most tokens of a batch; memory grows with it. */
  tokenBudget?: number;
  /** How many tokens of shared prefixes to keep between calls. */
  cachedTokens?: number;
  /** Files of a bundle below a URL that lie there packed with gzip, as NAME.packed: some hosts compress nothing. */
  packed?: readonly string[];
  /** Told as the bundle's files arrive. */
  onProgress?: (progress: Progress) => void;
}

export interface ScoreOptions {
  /** The instruction; by default the reranker's own. */
  task?: string;
  /** Cut a pair that is too long for the model (the default). false refuses it. */
  truncate?: boolean;
  /** Once aborted, the call is rejected with the signal's reason, and what no other call waits for is not run. */
  signal?: AbortSignal;
}

export interface RankOptions extends ScoreOptions {
  /** Return only this many of the best. */
  topK?: number;
}

type Kind = "string" | "number" | "boolean" | "list" | "function" | "signal of an AbortController";
type Kinds<Options> = Readonly<Record<keyof Options, Kind>>;

export const OPEN_OPTIONS: Kinds<OpenOptions> = {
  provider: "string",
  threads: "number",
  task: "string",
  maxLength: "number",
  prefix: "string",
  suffix: "string",
  allowSpecialTokens: "boolean",
  tokenBudget: "number",
  cachedTokens: "number",
  packed: "list",
  onProgress: "function",
};
export const SCORE_OPTIONS: Kinds<ScoreOptions> = { task: "string", truncate: "boolean", signal: "signal of an AbortController" };
export const RANK_OPTIONS: Kinds<RankOptions> = { ...SCORE_OPTIONS, topK: "number" };

/**
 * The options that were given. null, which JSON has for what is not there, is none.
 *
 * @param kinds the options that there are, and what each must be.
 * @throws TypeError one is of another kind, or there is none of that name.
 */
export function checkOptions<Options extends object>(options: Options | null, kinds: Kinds<Options>): Options {
  const names = Object.keys(kinds).join(", ");
  if (typeof options !== "object") throw new TypeError(`The options must be an object with ${names}, not ${nameOf(options)}.`);
  const given: Partial<Options> = {};
  for (const name in options) {
    if (!Object.hasOwn(kinds, name)) throw new TypeError(`There is no option ${name}; the options here are ${names}.`);
    const value = options[name];
    if (value === null || value === undefined) continue;
    if (nameOf(value) !== kinds[name]) throw new TypeError(`${name} must be a ${kinds[name]}, not ${nameOf(value)}.`);
    given[name] = value;
  }
  return given as Options;
}

/** Return a count if it is a whole number that is at least `least`. */
export function checkCount(count: number, name: string, least = 1): number {
  if (Number.isInteger(count) && count >= least) return count;
  throw new RangeError(`${name} must be a whole number from ${least}, not ${count}.`);
}
