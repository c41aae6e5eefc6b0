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
  const list = checkList(documents, `The documents${where}`, "a list of strings");
  return list.map((document, index) => checkText(document, `Document ${index}${where}`));
}

/** Return every query and its documents as lists of checked texts. */
export function checkPairs(
  queries: Iterable<string>,
  documents: Iterable<Iterable<string>>,
): [queries: string[], documents: string[][]] {
  const checked = checkList(queries, "The queries", "a list of strings").map((query, index) => checkText(query, `Query ${index}`));
  const lists = checkList(documents, "The documents of all queries", "a list of lists of strings");
  const texts = lists.map((group, index) => checkDocuments(group, ` of query ${index}`));
  if (checked.length !== texts.length) {
    throw new RangeError(`There are ${checked.length} queries but ${texts.length} lists of documents.`);
  }
  return [checked, texts];
}

/** A copy, as what was given may be changed while the model runs. */
function checkList<Item>(values: Iterable<Item>, what: string, kind: string): Item[] {
  if (typeof values === "string" || typeof values?.[Symbol.iterator] !== "function") {
    throw new TypeError(`${what} must be ${kind}, not ${typeof values === "string" ? "one string" : nameOf(values)}.`);
  }
  return Array.from(values);
}

/** What an error calls a value. */
export function nameOf(value: unknown): string {
  if (value instanceof AbortSignal) return "signal of an AbortController";
  return value === null ? "null" : Array.isArray(value) ? "list" : typeof value;
}
