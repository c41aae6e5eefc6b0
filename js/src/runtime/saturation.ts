/**
 * Whether this processor's uint8 x int8 products are right.
 *
 * x86 processors without VNNI add pairs of such products in 16 bits, which saturate. ONNX Runtime uses that all the
 * same, unless an option makes it take a slower, exact way. Ask the processor, by way of ONNX Runtime itself.
 */

import type { Ort } from "./providers.js";

/** The option of the exact way. */
export const EXACT_PRODUCTS = { session: { x64quantprecision: "1" } };

/** One MatMulInteger node, opset 13: y (int32) = a (uint8) x b (int8), the bytes that the Python package has too. */
const PRODUCT =
  "CAgSADo+ChgKAWEKAWISAXkiDU1hdE11bEludGVnZXISAWdaCQoBYRIECgIIAloJCgFiEgQKAggDYgkKAXkSBAoCCAZCBAoAEA0=";

let answer: Promise<boolean> | undefined;

/** Multiply the largest values and see. */
export function productsSaturate(ort: Ort): Promise<boolean> {
  return (answer ??= multiply(ort));
}

async function multiply({ InferenceSession, Tensor }: Ort): Promise<boolean> {
  const graph = Uint8Array.from(atob(PRODUCT), (character) => character.charCodeAt(0));
  const session = await InferenceSession.create(graph, { intraOpNumThreads: 1 });
  const a = new Tensor("uint8", new Uint8Array(8 * 64).fill(255), [8, 64]);
  const b = new Tensor("int8", new Int8Array(64 * 32).fill(127), [64, 32]);
  const { y } = await session.run({ a, b });
  await session.release();
  return (y!.data as Int32Array).some((value) => value !== 255 * 127 * 64);
}
