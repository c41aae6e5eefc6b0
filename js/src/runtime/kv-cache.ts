/** Keys and values of shared prefixes: one prefix, the file of it in a bundle, and a cache of some. */

import { readNpz } from "../bundle/npz.js";
import { BundleError } from "../errors.js";
import type { TokenIds } from "../prompt.js";
import { commonLength } from "./prefix-tree.js";

/** Values of a tensor: float32, or the bits of float16. */
export type Values = Float32Array | Uint16Array;

/** Sizes of keys and values, (layers, 2, kv_heads, seq, head_dim). */
export type Shape = readonly [number, number, number, number, number];

/** A prompt's first tokens, run through the model. */
export class PrefixKV {
  /**
   * @param ids its tokens, (seq,).
   * @param values keys and values that the tokens after it attend to.
   * @param shape their sizes.
   */
  constructor(
    readonly ids: TokenIds,
    readonly values: Values,
    readonly shape: Shape,
  ) {}

  /** Only the first tokens, which don't depend on later ones. */
  first(length: number): PrefixKV {
    if (length === this.ids.length) return this;
    const [layers, two, heads, seq, size] = this.shape;
    const rows = layers * two * heads;
    const values = newValues(this.values, rows * length * size);
    for (let row = 0; row < rows; row++) {
      const start = row * seq * size;
      values.set(this.values.subarray(start, start + length * size), row * length * size);
    }
    return new PrefixKV(this.ids.subarray(0, length), values, [layers, two, heads, length, size]);
  }

  /** The prefix `ids`, which begins with this one; `own` are keys and values of the tokens that this one lacks. */
  followedBy(ids: TokenIds, own: Values): PrefixKV {
    const [layers, two, heads, seq, size] = this.shape;
    const rows = layers * two * heads;
    const [before, after] = [seq * size, (ids.length - seq) * size];
    const values = newValues(own, rows * (before + after));
    for (let row = 0; row < rows; row++) {
      const start = row * (before + after);
      values.set(this.values.subarray(row * before, (row + 1) * before), start);
      values.set(own.subarray(row * after, (row + 1) * after), start + before);
    }
    return new PrefixKV(ids, values, [layers, two, heads, ids.length, size]);
  }
}

function newValues(like: Values, length: number): Values {
  return like instanceof Float32Array ? new Float32Array(length) : new Uint16Array(length);
}

/** The prefixes run last, for the next call to begin with. */
export class PrefixCache {
  private kept: PrefixKV[] = []; // the latest first

  /** Keep prefixes of at most `maxTokens` tokens in all. */
  constructor(readonly maxTokens: number) {}

  /** The prefixes that are kept now. */
  prefixes(): readonly PrefixKV[] {
    return this.kept;
  }

  /** Keep a prefix, in place of those that it begins with and of the oldest that have no room any more. */
  add(prefix: PrefixKV): void {
    if (!prefix.ids.length || prefix.ids.length > this.maxTokens) return;
    const latest = this.kept.find((other) => beginsWith(other, prefix)) ?? prefix;
    const kept = [latest];
    let room = this.maxTokens - latest.ids.length;
    for (const other of this.kept) {
      if (!beginsWith(latest, other) && other.ids.length <= room) {
        kept.push(other);
        room -= other.ids.length;
      }
    }
    this.kept = kept;
  }
}

function beginsWith(prefix: PrefixKV, other: PrefixKV): boolean {
  return commonLength(prefix.ids, other.ids) === other.ids.length;
}

/**
 * Read the prefix of a bundle, prefix_kv.npz.
 *
 * @param file its content.
 * @param empty a prefix without tokens, in the shape and type that the graph takes.
 * @param place what to call it in errors.
 */
export function readPrefix(file: Uint8Array<ArrayBuffer>, empty: PrefixKV, place: string): PrefixKV {
  try {
    const arrays = readNpz(file);
    const [ids, keysValues] = [arrays.get("ids"), arrays.get("keys_values")];
    if (!ids || !keysValues) throw new TypeError("ids or keys_values is missing");
    const type = empty.values instanceof Float32Array ? "<f4" : "<f2";
    if (ids.dtype !== "<i4" || keysValues.dtype !== type) {
      throw new TypeError(`its types are ${ids.dtype} and ${keysValues.dtype}, and the graph takes <i4 and ${type}`);
    }
    const fits = keysValues.shape.length === 5 && keysValues.shape.every((n, axis) => axis === 3 || n === empty.shape[axis]);
    if (!fits || keysValues.shape[3] !== ids.shape[0]) {
      throw new TypeError(`its shape is ${keysValues.shape} for ${ids.shape} tokens, and the graph takes ${empty.shape}`);
    }
    const values = empty.values instanceof Float32Array ? Float32Array : Uint16Array;
    const shape = keysValues.shape as unknown as Shape;
    return new PrefixKV(new Int32Array(ids.bytes.buffer), new values(keysValues.bytes.buffer), shape);
  } catch (error) {
    throw new BundleError(`${place}: keys and values can't be read (${(error as Error).message}); export again.`);
  }
}
