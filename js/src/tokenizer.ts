/** A checkpoint's tokenizer.json: read with its control tokens, or with their names as plain text. */

import { type AddedToken, AddedTokens } from "./added-tokens.js";
import { BytePairEncoder } from "./bpe.js";
import { BundleError } from "./errors.js";
import { type Normalize, type Normalizer, readNormalizer } from "./normalizer.js";
import { matches, translatePattern } from "./pattern.js";

/** The part of a tokenizer.json that decides on token ids, of the kind that Qwen's are: byte-level BPE. */
interface TokenizerFile {
  added_tokens: AddedToken[];
  normalizer: Normalizer | null;
  pre_tokenizer: { type: string; pretokenizers?: PreTokenizer[] };
  post_processor: { type: string } | null;
  model: {
    type: string;
    vocab: Record<string, number>;
    merges: (string | [string, string])[];
    ignore_merges?: boolean;
  };
}

interface PreTokenizer {
  type: string;
  pattern?: { Regex?: string };
  behavior?: string;
  invert?: boolean;
  add_prefix_space?: boolean;
  use_regex?: boolean;
}

/** How a text becomes words. */
interface Words {
  pattern: RegExp;
  alone: boolean; // what the pattern does not match is left out
  space: boolean; // every word begins with a space
}

/** Turns text into token ids. */
export class Tokenizer {
  private readonly raw: AddedTokens; // found in the text as it is
  private readonly normal: AddedTokens; // found in the normalized text

  constructor(
    private readonly words: Words,
    private readonly normalize: Normalize,
    private readonly encoder: BytePairEncoder,
    added: readonly AddedToken[],
  ) {
    this.raw = new AddedTokens(added.filter((token) => !token.normalized));
    this.normal = new AddedTokens(
      added.filter((token) => token.normalized).map((token) => ({ ...token, content: normalize(token.content) })),
    );
  }

  /** The token ids of a text. */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const outer of this.raw.split(text)) {
      if (typeof outer === "number") ids.push(outer);
      else {
        for (const inner of this.normal.split(this.normalize(outer))) {
          if (typeof inner === "number") ids.push(inner);
          else this.encodeWords(inner, ids);
        }
      }
    }
    return ids;
  }

  private encodeWords(text: string, ids: number[]): void {
    const { pattern, alone } = this.words;
    let end = 0;
    for (const { 0: found, index } of matches(text, pattern)) {
      if (!alone) this.encodeWord(text.slice(end, index), ids);
      end = index + found.length;
      this.encodeWord(text.slice(index, end), ids);
    }
    if (!alone) this.encodeWord(text.slice(end), ids);
  }

  private encodeWord(word: string, ids: number[]): void {
    if (word) push(ids, this.encoder.encode(this.words.space && !word.startsWith(" ") ? ` ${word}` : word));
  }
}

/** Reads one tokenizer.json; its vocabulary is shared by the tokenizers that `tokenizer` makes. */
export class TokenizerReader {
  private readonly file: TokenizerFile;
  private readonly encoder: BytePairEncoder;
  private readonly normalize: Normalize;
  private readonly words: Words;

  /**
   * @param json the content of a tokenizer.json.
   * @param place what to call it in errors.
   */
  constructor(json: Uint8Array, place: string) {
    try {
      this.file = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json)) as TokenizerFile;
      const { model } = this.file;
      if (model.type !== "BPE") throw new BundleError(`its model is ${model.type}, not BPE`);
      const merges = model.merges.map((merge) =>
        typeof merge === "string" ? (merge.split(" ") as [string, string]) : merge,
      );
      this.encoder = new BytePairEncoder(model.vocab, merges, model.ignore_merges ?? false);
      this.normalize = readNormalizer(this.file.normalizer);
      this.words = readPreTokenizer(this.file.pre_tokenizer);
      checkRest(this.file);
    } catch (error) {
      throw new BundleError(
        `${place} is not a tokenizer that this version can read (${(error as Error).message}); export the bundle again.`,
      );
    }
  }

  /**
   * @param controlTokens false leaves out the added tokens that are control tokens (`<|im_end|>`, `<think>`, ...), so
   * that their names are plain text. Added words stay.
   */
  tokenizer(controlTokens: boolean): Tokenizer {
    const added = this.file.added_tokens.filter((token) => controlTokens || !isControl(token));
    return new Tokenizer(this.words, this.normalize, this.encoder, added);
  }
}

function isControl(token: AddedToken): boolean {
  return token.special || /^<.*>$/.test(token.content);
}

function readPreTokenizer(preTokenizer: TokenizerFile["pre_tokenizer"]): Words {
  const [split, bytes, ...others] = preTokenizer.pretokenizers ?? [];
  const kind = split?.type === "Split" && split.pattern?.Regex && `${split.behavior}${split.invert ? ", inverted" : ""}`;
  const isSplit = kind === "Isolated" || kind === "Removed, inverted";
  const isBytes = bytes?.type === "ByteLevel" && bytes.use_regex === false;
  if (!isSplit || !isBytes || others.length) throw new BundleError("its pre-tokenizer is not Split, then ByteLevel");
  return {
    pattern: translatePattern(split!.pattern!.Regex!),
    alone: kind !== "Isolated",
    space: bytes.add_prefix_space ?? true,
  };
}

function checkRest(file: TokenizerFile): void {
  const { post_processor: after, added_tokens: added } = file;
  if (after && after.type !== "ByteLevel") throw new BundleError(`its post-processor is ${after.type}`);
  const odd = added.find((token) => !isControl(token) && (token.single_word || token.lstrip || token.rstrip));
  if (odd) throw new BundleError(`its added token ${JSON.stringify(odd.content)} takes the spaces around it`);
}

function push(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id);
}
