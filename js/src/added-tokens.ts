/** The tokens of a tokenizer.json that are found in a text before anything else. */

import { escapePattern } from "./pattern.js";
import { AFTER_UNICODE_16 } from "./unicode.js";

export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  normalized: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
}

const WORD = `(?![${AFTER_UNICODE_16}])[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]`;
const WORD_BEFORE = new RegExp(`${WORD}$`, "u");
const WORD_AFTER = new RegExp(`^${WORD}`, "u");

/** Finds added tokens, the longest first. */
export class AddedTokens {
  private readonly tokens: ReadonlyMap<string, AddedToken>;
  private readonly pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    this.tokens = new Map(tokens.map((token) => [token.content, token]));
    const contents = [...this.tokens.keys()].sort((a, b) => b.length - a.length);
    if (contents.length) this.pattern = new RegExp(contents.map(escapePattern).join("|"), "gu");
  }

  /** A text as ids of added tokens and what stands between them. */
  split(text: string): (number | string)[] {
    const parts: (number | string)[] = [];
    let end = 0;
    for (const { 0: content, index } of this.pattern ? text.matchAll(this.pattern) : []) {
      const token = this.tokens.get(content)!;
      if (token.single_word && inWord(text, index, index + content.length)) continue;
      if (index > end) parts.push(text.slice(end, index));
      parts.push(token.id);
      end = index + content.length;
    }
    if (end < text.length) parts.push(text.slice(end));
    return parts;
  }
}

function inWord(text: string, start: number, end: number): boolean {
  // Two units hold any one character.
  return WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start)) || WORD_AFTER.test(text.slice(end, end + 2));
}
