/** The reranker: check texts, score them, rank. */

import { DEFAULT_THREADS, loadRuntime, openSource, usableThreads } from "#platform";
import { Bundle } from "./bundle/bundle.js";
import { type Manifest, TOKENIZER_FILE } from "./bundle/manifest.js";
import { BundleError, ProviderError, ScoreError, TooLongError } from "./errors.js";
import {
  checkCount,
  checkOptions,
  OPEN_OPTIONS,
  type OpenOptions,
  RANK_OPTIONS,
  type RankOptions,
  SCORE_OPTIONS,
  type ScoreOptions,
} from "./options.js";
import { type EncodedPrompt, formatInstruction, PromptTokenizer } from "./prompt.js";
import { checkDocuments, checkPairs, checkText, type PairScore, type RankedDocument, rankingOf } from "./ranking.js";
import { REMEMBERED_TOKENS } from "./runtime/plan.js";
import { checkProvider, type Provider } from "./runtime/providers.js";
import { Scorer } from "./runtime/scorer.js";
import { probabilityOfYes, TOKEN_BUDGETS } from "./runtime/scoring.js";
import { openSession } from "./runtime/session.js";
import { checkConformance, type Conformance } from "./runtime/verify.js";
import { TokenizerReader } from "./tokenizer.js";

/** Gives every document the probability that a Qwen3 reranker answers "yes" for a query and that document. */
export class Reranker {
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly bundle: Bundle,
    private readonly tokenizer: TokenizerReader,
    private readonly prompts: PromptTokenizer,
    private readonly scorer: Scorer,
    /** The instruction of calls that give none. */
    readonly task: string,
    /** The most tokens of a prompt. */
    readonly maxLength: number,
  ) {}

  /**
   * Open a bundle: a URL, or in Node also the path of a folder.
   *
   * @throws BundleError there is no bundle, or one of its files is not what its manifest says.
   * @throws ProviderError the provider can't be used here, or does not compute the bundle's conformance vectors.
   */
  static async open(place: string | URL, options: OpenOptions = {}): Promise<Reranker> {
    if (!place) throw new TypeError(`The bundle's place must be a path or a URL, not ${JSON.stringify(place)}.`);
    const given = checkOptions(options, OPEN_OPTIONS);
    const provider = given.provider ?? "cpu";
    checkProvider(provider);
    const asked = given.threads === undefined ? DEFAULT_THREADS : checkCount(given.threads, "threads");
    const threads = Math.min(asked, usableThreads());
    const tokenBudget = checkCount(given.tokenBudget ?? TOKEN_BUDGETS[provider], "tokenBudget");
    const cachedTokens = checkCount(given.cachedTokens ?? REMEMBERED_TOKENS, "cachedTokens", 0);
    if (given.maxLength !== undefined) checkCount(given.maxLength, "maxLength");
    const bundle = await Bundle.open(openSource(place, given.packed ?? []), given.onProgress);
    const { manifest } = bundle;
    const task = checkText(given.task ?? manifest.prompt.task, "The task");
    const maxLength = given.maxLength ?? manifest.max_length;
    const loadSession = async () => openSession(bundle, await loadRuntime(provider, threads), provider);
    const [session, text] = await Promise.allSettled([loadSession(), readTexts(bundle, task, given, maxLength)]);
    if (session.status === "rejected") throw session.reason;
    if (text.status === "rejected") {
      await session.value.release(); // in browsers nothing else gives its memory back
      throw text.reason;
    }
    const { tokenizer, prompts } = text.value;
    const scorer = new Scorer(session.value, manifest.pad_token_id, tokenBudget, cachedTokens);
    const reranker = new Reranker(bundle, tokenizer, prompts, scorer, task, maxLength);
    if (provider !== "cpu") await reranker.proveProvider();
    return reranker;
  }

  /** Score `documents[i]` against `queries[i]`: for every query one score per document, in the order given. */
  async scorePairs(
    queries: readonly string[],
    documents: readonly (readonly string[])[],
    options: ScoreOptions = {},
  ): Promise<PairScore[][]> {
    return this.scoreChecked(...checkPairs(queries, documents), options);
  }

  /** Score documents against one query: one score each, in the order given; larger is better. */
  async score(query: string, documents: Iterable<string>, options: ScoreOptions = {}): Promise<number[]> {
    const [pairs] = await this.scoreChecked([checkText(query, "The query")], [checkDocuments(documents)], options);
    return pairs!.map((pair) => pair.score);
  }

  /** Order documents by their score against one query, best first; equal scores keep the order given. */
  async rank(query: string, documents: Iterable<string>, options: RankOptions = {}): Promise<RankedDocument[]> {
    const [ranking] = await this.rankChecked([checkText(query, "The query")], [checkDocuments(documents)], options);
    return ranking!;
  }

  /** Like `rank` for many queries at once, which fills batches better: `documents[i]` against `queries[i]`. */
  async rankMany(
    queries: readonly string[],
    documents: readonly (readonly string[])[],
    options: RankOptions = {},
  ): Promise<RankedDocument[][]> {
    return this.rankChecked(...checkPairs(queries, documents), options);
  }

  /** Prove that the bundle computes here the scores that it was exported with. */
  async verify(): Promise<Conformance> {
    this.checkOpen();
    const { session, tokenBudget } = this.scorer;
    return this.scorer.alone(() => checkConformance(this.bundle, session, this.tokenizer, tokenBudget));
  }

  /** Give back the session's memory, when the calls before this have ended; the reranker can't be used any more. */
  close(): Promise<void> {
    return (this.closing ??= this.scorer.close());
  }

  /** What runs it: provider, threads, and which bundle. */
  get description(): { provider: Provider; threads: number; place: string; manifest: Manifest } {
    const { provider, threads } = this.scorer.session;
    return { provider, threads, place: this.bundle.source.place, manifest: this.bundle.manifest };
  }

  private async rankChecked(
    queries: readonly string[],
    documents: readonly (readonly string[])[],
    options: RankOptions,
  ): Promise<RankedDocument[][]> {
    const { topK, ...others } = checkOptions(options, RANK_OPTIONS);
    const count = topK === undefined ? undefined : checkCount(topK, "topK");
    const scored = await this.scoreChecked(queries, documents, others);
    return scored.map((pairs, index) => rankingOf(documents[index]!, pairs).slice(0, count));
  }

  private async scoreChecked(
    queries: readonly string[],
    documents: readonly (readonly string[])[],
    options: ScoreOptions,
  ): Promise<PairScore[][]> {
    this.checkOpen();
    const { task = this.task, truncate = true, signal } = checkOptions(options, SCORE_OPTIONS);
    signal?.throwIfAborted();
    checkText(task, "The task");
    const encoded = queries.map((query, index) =>
      documents[index]!.map((document) => this.prompts.encode(formatInstruction(task, query, document))),
    );
    if (!truncate) this.refuseCut(encoded);
    this.warnOfLostDocuments(task, queries, encoded);
    const logits = (
      await this.scorer.logits(
        encoded.flat().map(({ ids }) => ids),
        signal,
      )
    ).values();
    return encoded.map((group, query) =>
      group.map(({ ids, truncated }, index) => {
        const pair = logits.next().value!;
        if (!pair.every(Number.isFinite)) {
          throw new ScoreError(
            `Document ${index} of query ${query} has a score that is not a number, from ${this.bundle.source.place};` +
              " call verify(), and export the bundle again if it fails.",
          );
        }
        return { score: probabilityOfYes(pair), logit: pair[1] - pair[0], tokens: ids.length, truncated };
      }),
    );
  }

  private checkOpen(): void {
    if (this.closing) throw new Error(`The reranker of ${this.bundle.source.place} is closed; open another one.`);
  }

  /** Warn of queries that leave no token for their documents, which then all have one score. */
  private warnOfLostDocuments(task: string, queries: readonly string[], encoded: readonly EncodedPrompt[][]): void {
    encoded.forEach((group, index) => {
      if (!group.length || !group.every(({ truncated }) => truncated)) return;
      if (!this.prompts.fillsRoom(formatInstruction(task, queries[index]!, "").trimEnd())) return;
      console.warn(
        `Query ${index} takes all of the ${this.maxLength} tokens, so nothing of its documents is left and they get` +
          " equal scores; shorten it, raise maxLength, or refuse it with truncate: false.",
      );
    });
  }

  private refuseCut(encoded: readonly EncodedPrompt[][]): void {
    encoded.forEach((group, query) => {
      const index = group.findIndex(({ truncated }) => truncated);
      if (index < 0) return;
      throw new TooLongError(
        `Document ${index} of query ${query} does not fit ${this.maxLength} tokens with its query; shorten it, raise` +
          " maxLength, or allow it to be cut (truncate: true).",
      );
    });
  }

  private async proveProvider(): Promise<void> {
    const { provider } = this.scorer.session;
    const failure = await this.verify().then(
      ({ passed, largestDifference }) =>
        passed ? undefined : new Error(`its scores are ${largestDifference.toPrecision(2)} from the bundle's conformance vectors`),
      (error: Error) => error,
    );
    if (!failure) return;
    await this.close();
    if (failure instanceof BundleError) throw failure;
    throw new ProviderError(`${provider} can't be used for ${this.bundle.source.place} here (${failure.message}); take "cpu".`);
  }
}

/** The tokenizer of a bundle, and that of its prompts. */
async function readTexts(
  bundle: Bundle,
  task: string,
  options: OpenOptions,
  maxLength: number,
): Promise<{ tokenizer: TokenizerReader; prompts: PromptTokenizer }> {
  const tokenizer = new TokenizerReader(await bundle.read(TOKENIZER_FILE), `${bundle.source.place}${TOKENIZER_FILE}`);
  const prompts = promptTokenizer(bundle.manifest, tokenizer, options, maxLength);
  if (prompts.fillsRoom(formatInstruction(task, "", ""))) {
    throw new RangeError(
      `maxLength is ${maxLength}, which prefix, task and suffix take alone; give more, so that query and document` +
        " have room.",
    );
  }
  return { tokenizer, prompts };
}

function promptTokenizer(
  { prompt }: Manifest,
  tokenizer: TokenizerReader,
  options: OpenOptions,
  maxLength: number,
): PromptTokenizer {
  const prefix = checkText(options.prefix ?? prompt.prefix, "The prefix");
  const suffix = checkText(options.suffix ?? prompt.suffix, "The suffix");
  const own = prefix === prompt.prefix && suffix === prompt.suffix;
  const around = tokenizer.tokenizer(true);
  const [prefixIds, suffixIds] = own
    ? [prompt.prefix_ids, prompt.suffix_ids]
    : [around.encode(prefix), around.encode(suffix)];
  return new PromptTokenizer(tokenizer.tokenizer(options.allowSpecialTokens ?? false), prefixIds, suffixIds, maxLength);
}
