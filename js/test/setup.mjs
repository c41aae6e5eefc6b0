// What the tests share: the default model's folder and what `make_vectors.py` wrote.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const DEFAULT_MODEL = fileURLToPath(new URL("../../models/default", import.meta.url));

/** A file that `make test-js` made. */
export const generated = (name) => new URL(`generated/${name}`, import.meta.url);

/** Texts, their token ids, and scores of pairs, from the Python package. */
export const vectors = JSON.parse(readFileSync(generated("vectors.json"), "utf8"));

/** The largest difference of two lists of numbers of one length. */
export function largestDifference(a, b) {
  if (a.length !== b.length) throw new RangeError(`${a.length} and ${b.length} numbers`);
  return Math.max(0, ...a.map((value, index) => Math.abs(value - b[index])));
}
