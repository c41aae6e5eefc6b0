/** Made by build.mjs from examples/terms.jsonl. */
export declare const EXAMPLE: { query: string; candidates: string[] };
