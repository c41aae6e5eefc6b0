/** Regular expressions of Python's tokenizers (Oniguruma) as ones of JavaScript: what both write alike but read differently. */

import { BundleError } from "./errors.js";
import { AFTER_UNICODE_16 } from "./unicode.js";

/** What Oniguruma takes for part of a word: also the digits and fractions of Latin-1 that are no decimal digits. */
const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\u00b2\u00b3\u00b9\u00bc-\u00be]";
const BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
/** Not read alike, and not translated: classes in classes, a \b in a class, which is another character, and more. */
const UNKNOWN = /\\[wWdDBhHRXAzZGKkg]|\(\?(?![:=!]|<[=!]|i:)|\[\[|&&|\[(?:[^\]\\]|\\[^b])*\\b/;

/** @throws BundleError the pattern has something that is not known to mean the same here. */
export function translatePattern(pattern: string): RegExp {
  const unknown = UNKNOWN.exec(pattern);
  if (unknown) throw new BundleError(`its pattern has ${unknown[0]}`);
  const translated = pattern
    // Older engines have no (?i:...).
    .replace(/\(\?i:([^()]*)\)/g, (_, inner: string) => `(?:${inner.replace(/[a-z]/gi, anyCase)})`)
    // JavaScript's own \s has U+FEFF and lacks U+0085, and its \b knows only ASCII.
    .replace(/\\[^]/g, (escape) => TRANSLATED[escape] ?? escape);
  return new RegExp(translated, "gu");
}

const TRANSLATED: Record<string, string> = { "\\s": "\\p{White_Space}", "\\S": "\\P{White_Space}", "\\b": BOUNDARY };

const NEWER = new RegExp(`[${AFTER_UNICODE_16}]`, "gu");

/** Where a pattern matches a text. The matches' own text may have other characters in place of the newest. */
export function matches(text: string, pattern: RegExp): Iterable<RegExpMatchArray & { index: number }> {
  // As long as what they stand for, and of no kind.
  const older = text.replace(NEWER, (character) => (character.length > 1 ? "\u{10ffff}" : "\uffff"));
  return older.matchAll(pattern);
}

/** All characters that differ from a letter in case alone: K also has the Kelvin sign, s the long one. */
function anyCase(letter: string): string {
  const others = ["\u017f", "\u212a"].filter((other) => new RegExp(letter, "iu").test(other));
  return `[${letter.toLowerCase()}${letter.toUpperCase()}${others.join("")}]`;
}

/** A pattern that matches this text. */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
