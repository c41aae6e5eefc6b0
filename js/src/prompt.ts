/**
 * The Qwen3 reranker prompt: a query and a document become the token ids that the model reads.
 *
 *     ids(prefix) + ids("<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}")[:room] + ids(suffix)
 *
 * The three parts are tokenized separately. The middle is cut on the right so that the whole fits `maxLength`.
 */

import type { Tokenizer } from "./tokenizer.js";

/** Token ids of a prompt, (seq,). */
export type TokenIds = Int32Array;

export interface EncodedPrompt {
  ids: TokenIds;
  /** Whether the pair was cut to fit `maxLength`. */
  truncated: boolean;
}

/** The middle part of the prompt for one pair. */
export function formatInstruction(task: string, query: string, document: string): string {
  return `<Instruct>: ${task}\n<Query>: ${query}\n<Document>: ${document}`;
}

/** Turns formatted pairs into whole prompts of token ids. */
export class PromptTokenizer {
  /** The most tokens that a formatted pair may have between prefix and suffix. */
  readonly room: number;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly prefixIds: readonly number[],
    private readonly suffixIds: readonly number[],
    maxLength: number,
  ) {
    const around = prefixIds.length + suffixIds.length;
    if (maxLength <= around) {
      throw new RangeError(
        `maxLength is ${maxLength}, but the prompt's prefix and suffix alone take ${around} tokens;` +
          ` give at least ${around + 1}.`,
      );
    }
    this.room = maxLength - around;
  }

  /** The whole prompt of a formatted pair. */
  encode(pair: string): EncodedPrompt {
    const own = this.tokenizer.encode(pair);
    const truncated = own.length > this.room;
    if (truncated) own.length = this.room;
    return { ids: Int32Array.from([this.prefixIds, own, this.suffixIds].flat()), truncated };
  }

  /** Whether a text alone takes all tokens that a pair may have, so that nothing after it is left. */
  fillsRoom(text: string): boolean {
    return this.tokenizer.encode(text).length >= this.room;
  }
}

/** Input ids and attention mask of a batch, each (batch, seq). */
export interface Batch {
  inputIds: BigInt64Array;
  attentionMask: BigInt64Array;
  shape: [number, number];
}

/** Pad prompts on the left to the longest; the mask is 1 for a real token and 0 for padding. */
export function leftPad(prompts: readonly TokenIds[], padTokenId: number): Batch {
  const longest = Math.max(0, ...prompts.map((prompt) => prompt.length));
  const inputIds = new BigInt64Array(prompts.length * longest).fill(BigInt(padTokenId));
  const attentionMask = new BigInt64Array(prompts.length * longest);
  prompts.forEach((prompt, row) => {
    const start = (row + 1) * longest - prompt.length;
    prompt.forEach((id, index) => (inputIds[start + index] = BigInt(id)));
    attentionMask.fill(1n, start, start + prompt.length);
  });
  return { inputIds, attentionMask, shape: [prompts.length, longest] };
}
