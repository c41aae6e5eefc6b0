/** Rerank with Qwen3 rerankers on ONNX Runtime, in Node and in browsers. */

export type { Progress } from "./bundle/bundle.js";
export { BundleError, ProviderError, ScoreError, TooLongError } from "./errors.js";
export type { OpenOptions, RankOptions, ScoreOptions } from "./options.js";
export type { PairScore, RankedDocument } from "./ranking.js";
export { Reranker } from "./reranker.js";
export type { Provider } from "./runtime/providers.js";
export type { Conformance } from "./runtime/verify.js";
