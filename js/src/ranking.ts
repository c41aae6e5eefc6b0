/** What a ranking is made of: checked texts, scores of pairs, ranked documents. */

/** The score of one query-document pair. */
export interface PairScore {
  /** The probability of "yes", in [0, 1]; larger is better. */
  score: number;
  /** The logit of "yes" minus the logit of "no". */
  logit: number;
  /** How many tokens the whole prompt had. */
  tokens: number;
  /** Whether the pair was cut to fit the model's `maxLength`. */
  truncated: boolean;
}

/** One document of a ranking. */
export interface RankedDocument extends PairScore {
  /** Its place in the list that was given. */
  index: number;
  document: string;
}

/** Documents best first; equal scores keep the order given. */
export function rankingOf(documents: readonly string[], pairs: readonly PairScore[]): RankedDocument[] {
  return pairs
    .map((pair, index) => ({ index, document: documents[index]!, ...pair }))
    .sort((a, b) => b.score - a.score);
}

/** Return `value` if it is text that can be encoded; `what` is what an error calls it. */
export function checkText(value: unknown, what: string): string {
  if (typeof value !== "string") {
    throw new TypeError(`${what} must be a string, not ${nameOf(value)}; drop it or give it a text.`);
  }
  if (!value.isWellFormed()) throw new TypeError(`${what} is not valid Unicode: it holds half of a surrogate pair.`);
  return value;
}

/** Return the documents as a list of checked texts; `where` is appended to what an error calls them. */
export function checkDocuments(documents: Iterable<string>, where = ""): string[] {
  if (typeof documents === "string" || typeof documents?.[Symbol.iterator] !== "function") {
    throw new TypeError(`The documents${where} must be a list of strings, not ${nameOf(documents)}.`);
  }
  return Array.from(documents, (document, index) => checkText(document, `Document ${index}${where}`));
}

function nameOf(value: unknown): string {
  return value === null ? "null" : typeof value === "string" ? "one string" : typeof value;
}
