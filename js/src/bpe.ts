/** Byte-pair encoding: the bytes of a word are merged, best pair first, until no known pair is left. */

import { BundleError } from "./errors.js";

/** A pair of token ids as one number; vocabularies stay far below 2^26. */
const PAIR = 2 ** 26;
/** Words whose token ids are kept. Texts repeat their words, and prompts repeat each other's. */
const REMEMBERED_WORDS = 50_000;

export class BytePairEncoder {
  private readonly vocabulary: ReadonlyMap<string, number>;
  private readonly ranks = new Map<number, number>(); // of a pair of ids: which merges come first
  private readonly merged: Int32Array; // the id that a merge gives, by its rank
  private readonly byteIds: Int32Array; // (256,)
  private readonly words = new Map<string, readonly number[]>();
  private readonly utf8 = new TextEncoder();

  /**
   * @param vocabulary token ids by their text, in which every byte is written as one printable character.
   * @param merges pairs of such texts, the first to be merged first.
   * @param wholeWords a word that is in the vocabulary is one token, whatever the merges say.
   */
  constructor(
    vocabulary: Record<string, number>,
    merges: readonly (readonly [string, string])[],
    private readonly wholeWords: boolean,
  ) {
    this.vocabulary = new Map(Object.entries(vocabulary));
    this.merged = new Int32Array(merges.length);
    merges.forEach(([left, right], rank) => {
      this.ranks.set(this.id(left) * PAIR + this.id(right), rank);
      this.merged[rank] = this.id(left + right);
    });
    this.byteIds = Int32Array.from(BYTE_CHARACTERS, (character) => this.id(character));
  }

  private id(text: string): number {
    const id = this.vocabulary.get(text);
    if (id === undefined) throw new BundleError(`its vocabulary has no ${JSON.stringify(text)}, which its merges need`);
    return id;
  }

  /** The token ids of one word of a text. */
  encode(word: string): readonly number[] {
    const known = this.words.get(word);
    if (known) return known;
    const bytes = this.utf8.encode(word);
    const whole = this.wholeWords ? this.vocabulary.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join("")) : undefined;
    const ids = whole === undefined ? this.merge(Array.from(bytes, (byte) => this.byteIds[byte]!)) : [whole];
    if (this.words.size >= REMEMBERED_WORDS) this.words.clear();
    if (word.length <= 64) this.words.set(word, ids);
    return ids;
  }

  /** Merge neighbours, the lowest rank first and from left to right, in n log n steps. */
  private merge(ids: number[]): number[] {
    const next = ids.map((_, index) => index + 1); // a linked list of those that are left
    const previous = ids.map((_, index) => index - 1);
    const end = ids.length;
    const pairs = new MinHeap();
    const rankAt = (at: number): number | undefined => {
      const after = next[at]!;
      return after < end ? this.ranks.get(ids[at]! * PAIR + ids[after]!) : undefined;
    };
    const push = (at: number): void => {
      const rank = rankAt(at);
      if (rank !== undefined) pairs.push(rank * PAIR + at);
    };
    for (let at = 0; at < end - 1; at++) push(at);
    for (let key = pairs.pop(); key !== undefined; key = pairs.pop()) {
      const at = key % PAIR;
      const rank = Math.floor(key / PAIR);
      if (ids[at] === -1 || rankAt(at) !== rank) continue; // one of the two was merged since
      const after = next[at]!;
      ids[at] = this.merged[rank]!;
      ids[after] = -1;
      next[at] = next[after]!;
      if (next[at]! < end) previous[next[at]!] = at;
      if (previous[at]! >= 0) push(previous[at]!);
      push(at);
    }
    return ids.filter((id) => id !== -1);
  }
}

class MinHeap {
  private readonly keys: number[] = [];

  push(key: number): void {
    const keys = this.keys;
    let at = keys.push(key) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && keys[parent]! > key; parent = (at - 1) >> 1) {
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number | undefined {
    const keys = this.keys;
    const least = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < keys.length && keys[child + 1]! < keys[child]!) child++;
      if (child >= keys.length || keys[child]! >= last) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = last;
    return least;
  }
}

/** The printable character that a byte-level vocabulary (GPT-2's) has for each byte. */
const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : 256 + others++));
})();
