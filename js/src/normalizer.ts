/** What a tokenizer.json does to a text before it is split. */

import { BundleError } from "./errors.js";
import { normalized } from "./marks.js";
import { matches, translatePattern } from "./pattern.js";
import { AFTER_UNICODE_9 } from "./unicode.js";

export type Normalize = (text: string) => string;

/** The part of a tokenizer.json that says so. */
export interface Normalizer {
  type: string;
  normalizers?: Normalizer[];
  pattern?: { String?: string; Regex?: string };
  content?: string;
}

const OLDER = new RegExp(`[^${AFTER_UNICODE_9}]+`, "gu");
// Two Vedic signs were marks then.
const MARKS = new RegExp(`(?![${AFTER_UNICODE_9}])[\\p{M}\\u1cf2\\u1cf3]`, "gu");

const STEPS: Record<string, Normalize> = {
  NFC: (text) => text.replace(OLDER, (part) => normalized(part, "NFC")),
  NFKD: (text) => text.replace(OLDER, (part) => normalized(part, "NFKD")),
  StripAccents: (text) => text.replace(MARKS, ""),
  // Python's tokenizers lower every character for itself; JavaScript knows that a sigma at a word's end differs.
  Lowercase: (text) => text.replaceAll("Σ", "σ").toLowerCase(),
};

/** @throws BundleError it has a step that is not known here. */
export function readNormalizer(normalizer: Normalizer | null): Normalize {
  const steps = (normalizer?.type === "Sequence" ? normalizer.normalizers : normalizer && [normalizer]) ?? [];
  const functions = steps.map((step) => (step.type === "Replace" ? readReplacement(step) : readStep(step.type)));
  return (text) => functions.reduce((normalized, step) => step(normalized), text);
}

function readStep(type: string): Normalize {
  if (!Object.hasOwn(STEPS, type)) {
    throw new BundleError(`its normalizer is ${type}, not Replace or ${Object.keys(STEPS).join(", ")}`);
  }
  return STEPS[type]!;
}

function readReplacement({ pattern, content }: Normalizer): Normalize {
  if (typeof content !== "string") throw new BundleError("its replacement has no content");
  if (pattern?.String) return (text) => text.replaceAll(pattern.String!, () => content);
  if (!pattern?.Regex) throw new BundleError("its replacement has no pattern");
  const translated = translatePattern(pattern.Regex);
  if ("".search(translated) === 0) throw new BundleError("its replacement's pattern matches the empty text");
  return (text) => {
    const kept: string[] = [];
    let end = 0;
    for (const { 0: found, index } of matches(text, translated)) {
      kept.push(text.slice(end, index));
      end = index + found.length;
    }
    return [...kept, text.slice(end)].join(content);
  };
}
