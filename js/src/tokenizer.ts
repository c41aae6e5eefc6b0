/** A checkpoint's tokenizer.json: read with its control tokens, or with their names as plain text. */

import { BytePairEncoder } from "./bpe.js";
import { BundleError } from "./errors.js";

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  normalized: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
}

/** The part of a tokenizer.json that decides on token ids, of the kind that Qwen's are: byte-level BPE. */
interface TokenizerFile {
  added_tokens: AddedToken[];
  normalizer: { type: string; normalizers?: { type: string }[] } | null;
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

type Normalize = (text: string) => string;

/** Turns text into token ids. */
export class Tokenizer {
  private readonly raw: AddedTokens; // found in the text as it is
  private readonly normal: AddedTokens; // found in the normalized text

  constructor(
    private readonly words: RegExp,
    private readonly normalize: Normalize,
    private readonly encoder: BytePairEncoder,
    added: readonly AddedToken[],
  ) {
    this.raw = new AddedTokens(added.filter((token) => !token.normalized).map((token) => [token.content, token.id]));
    this.normal = new AddedTokens(
      added.filter((token) => token.normalized).map((token) => [normalize(token.content), token.id]),
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
    let end = 0;
    for (const match of text.matchAll(this.words)) {
      if (match.index > end) push(ids, this.encoder.encode(text.slice(end, match.index)));
      if (match[0]) push(ids, this.encoder.encode(match[0]));
      end = match.index + match[0].length;
    }
    if (end < text.length) push(ids, this.encoder.encode(text.slice(end)));
  }
}

/** Tokens that are found in a text before anything else, the longest first. */
class AddedTokens {
  private readonly ids: ReadonlyMap<string, number>;
  private readonly pattern: RegExp | undefined;

  constructor(tokens: readonly (readonly [string, number])[]) {
    this.ids = new Map(tokens);
    const contents = tokens.map(([content]) => content).sort((a, b) => b.length - a.length);
    if (contents.length) this.pattern = new RegExp(`(${contents.map(escapePattern).join("|")})`, "u");
  }

  /** A text as ids of added tokens and what stands between them. */
  split(text: string): (number | string)[] {
    if (!this.pattern) return text ? [text] : [];
    const parts = text.split(this.pattern).map((part, index) => (index % 2 ? this.ids.get(part)! : part));
    return parts.filter((part) => part !== "");
  }
}

/** Reads one tokenizer.json; its vocabulary is shared by the tokenizers that `tokenizer` makes. */
export class TokenizerReader {
  private readonly file: TokenizerFile;
  private readonly encoder: BytePairEncoder;
  private readonly normalize: Normalize;
  private readonly words: RegExp;

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

function readNormalizer(normalizer: TokenizerFile["normalizer"]): Normalize {
  const steps = (normalizer?.type === "Sequence" ? normalizer.normalizers : normalizer && [normalizer]) ?? [];
  const functions = steps.map(({ type }): Normalize => {
    if (type === "NFC") return (text) => text.normalize("NFC");
    // Python's tokenizers lower every character for itself; JavaScript knows that a sigma at a word's end differs.
    if (type === "Lowercase") return (text) => text.replaceAll("Σ", "σ").toLowerCase();
    throw new BundleError(`its normalizer is ${type}, not NFC or Lowercase`);
  });
  return (text) => functions.reduce((normalized, step) => step(normalized), text);
}

function readPreTokenizer(preTokenizer: TokenizerFile["pre_tokenizer"]): RegExp {
  const [split, bytes, ...others] = preTokenizer.pretokenizers ?? [];
  const isSplit = split?.type === "Split" && split.pattern?.Regex && split.behavior === "Isolated" && !split.invert;
  const isBytes = bytes?.type === "ByteLevel" && !bytes.add_prefix_space && bytes.use_regex === false;
  if (!isSplit || !isBytes || others.length) throw new BundleError("its pre-tokenizer is not Split, then ByteLevel");
  return translatePattern(split.pattern!.Regex!);
}

function checkRest(file: TokenizerFile): void {
  const { post_processor: after, added_tokens: added } = file;
  if (after && after.type !== "ByteLevel") throw new BundleError(`its post-processor is ${after.type}`);
  const odd = added.find((token) => !isControl(token) && (token.single_word || token.lstrip || token.rstrip));
  if (odd) throw new BundleError(`its added token ${JSON.stringify(odd.content)} takes the spaces around it`);
}

/** A pattern of Python's tokenizers (Oniguruma) as one of JavaScript: what both write alike but read differently. */
function translatePattern(pattern: string): RegExp {
  const unknown = /\\[wWdDbBhHRX]|\(\?[^:=!i]|\[\[/.exec(pattern);
  if (unknown) throw new BundleError(`its pattern has ${unknown[0]}`);
  const translated = pattern
    // Older engines have no (?i:...).
    .replace(/\(\?i:([^()]*)\)/g, (_, inner: string) => `(?:${inner.replace(/[a-z]/gi, anyCase)})`)
    // JavaScript's own \s has U+FEFF and lacks U+0085.
    .replaceAll("\\s", "\\p{White_Space}")
    .replaceAll("\\S", "\\P{White_Space}");
  return new RegExp(translated, "gu");
}

/** All characters that are the same letter but for their case: K has the Kelvin sign, s the long one. */
function anyCase(letter: string): string {
  const others = ["\u017f", "\u212a"].filter((other) => new RegExp(letter, "iu").test(other));
  return `[${letter.toLowerCase()}${letter.toUpperCase()}${others.join("")}]`;
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function push(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id);
}
