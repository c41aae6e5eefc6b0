/** Prove that a bundle computes the scores it was exported with: on this machine, with this runtime. */

import type { Bundle } from "../bundle/bundle.js";
import { CONFORMANCE_FILE, type Manifest } from "../bundle/manifest.js";
import { BundleError } from "../errors.js";
import { formatInstruction, PromptTokenizer } from "../prompt.js";
import type { TokenizerReader } from "../tokenizer.js";
import { PrefixCache } from "./kv-cache.js";
import { type Logits, probabilityOfYes, promptLogits } from "./scoring.js";
import type { Session } from "./session.js";

/** How far the scores were from the bundle's conformance vectors. */
export interface Conformance {
  /** How many were scored. */
  prompts: number;
  largestDifference: number;
  /** What is allowed here: the manifest's tolerance, or less. */
  tolerance: number;
  /** Whether every score is within the tolerance (never, where a score is not a number). */
  passed: boolean;
}

/**
 * Tokenize and score the conformance pairs and compare with what the bundle promises.
 *
 * @throws BundleError the vectors can't be read, or the tokenizer and the manifest's prompt give other token ids.
 */
export async function checkConformance(
  bundle: Bundle,
  session: Session,
  tokenizer: TokenizerReader,
  tokenBudget: number,
): Promise<Conformance> {
  const { prompt, max_length, pad_token_id, graph } = bundle.manifest;
  const vectors = await bundle.conformance();
  const encoder = new PromptTokenizer(tokenizer.tokenizer(false), prompt.prefix_ids, prompt.suffix_ids, max_length);
  const prompts = vectors.map(({ query, document }) => encoder.encode(formatInstruction(prompt.task, query, document)).ids);
  vectors.forEach((vector, index) => {
    if (prompts[index]!.join() !== vector.input_ids.join()) {
      throw new BundleError(
        `${bundle.source.place}${CONFORMANCE_FILE}: the texts of vector ${index} have other token ids here than they` +
          " had at the export.",
      );
    }
  });
  const logits = await promptLogits(session, prompts, pad_token_id, tokenBudget, new PrefixCache(0));
  // A processor computes int4 in one of two ways: all its scores must be those of the same one.
  const quantized = vectors.map((vector) => vector.logits);
  const inFloat = vectors.map((vector) => vector.float_activation_logits ?? vector.logits);
  const largestDifference = Math.min(largest(logits, quantized), largest(logits, inFloat)); // NaN, if a score is
  const tolerance = allowedDifference(graph, session);
  return { prompts: vectors.length, largestDifference, tolerance, passed: largestDifference <= tolerance };
}

/** The largest difference of the scores that logits of "no" and "yes" mean. */
function largest(logits: readonly Logits[], expected: readonly number[][]): number {
  const differences = expected.map(([no, yes], index) =>
    Math.abs(probabilityOfYes(logits[index]!) - probabilityOfYes([no!, yes!])),
  );
  return Math.max(...differences);
}

/**
 * What is allowed here. The manifest's tolerance leaves room for every machine; a CPU computes fp32 and fp16 graphs in
 * float32, and differs from another by little more than the export measured.
 */
function allowedDifference({ precision, tolerance, difference }: Manifest["graph"], { provider }: Session): number {
  if (provider !== "cpu" || !["fp32", "fp16"].includes(precision)) return tolerance;
  return Math.min(tolerance, 10 * difference + 1e-5);
}
